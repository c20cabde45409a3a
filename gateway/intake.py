"""A speaker's audio on its way in: its rate, its order and its format, then to the talk's pipeline."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from babelcast.errors import BabelcastError, RateLimitExceeded
from babelcast.pcm import BYTES_PER_MS, BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, duration_ms
from babelcast.telemetry import instruments
from gateway import measuring
from gateway.inbound import Inbound
from gateway.ingest import Ingest
from gateway.ledger import Place, Source
from gateway.limits import TokenBucket
from gateway.reorder import Chunk, Reorder
from gateway.rooms import Room
from gateway.transcribing import RESEND_S

# A sound card's clock may run this much fast without its speaker losing words.
CLOCK_TOLERANCE = 1.1
MIN_TIMER_S = 0.02

log = logging.getLogger(__name__)


class Intake:
    """One connection's chunks. Those that came early are held for those before them, by its own timer."""

    def __init__(
        self, room: Callable[[], Room], *, chunks_per_second: float, clock: Callable[[], float]
    ) -> None:
        """`room` gives the talk's room as it is now, `clock` seconds."""
        self._room = room
        self.chunks = 0
        """Taken so far."""
        self.received_ms = 0.0
        """How long they sound."""
        self._clock = clock
        self._ingest = Ingest()
        self._trim = 0
        self._rate = TokenBucket.full(
            rate=chunks_per_second * CLOCK_TOLERANCE, burst=2 * chunks_per_second, now_s=clock()
        )
        self._rate_hz = SAMPLE_RATE_HZ
        self._held_ms = 0.0  # what the resampler holds back
        self._timer: asyncio.TimerHandle | None = None

    def allow(self, seconds: float) -> None:
        """Let as much more be sent at once as is spoken in so long: the speaker was away."""
        self._rate.allow(self._rate.rate * max(0.0, min(seconds, RESEND_S)))

    def take(
        self, pcm: bytes, *, sequence: int | None, sample_rate_hz: int | None, traceparent: str = ""
    ) -> None:
        """Take a chunk; one whose `sequence` says that it came early waits for those before it.

        Raises: RateLimitExceeded, which says what number the chunk has, so that it can be sent again by it;
        InvalidAudioFormat, AudioChunkTooLarge.
        """
        now_s = self._clock()
        wait_s = self._rate.take(now_s)
        if wait_s:
            self._inbound.came(sequence)
            number = self._reorder.refuse() if sequence is None else sequence
            limited = RateLimitExceeded("audio chunks", retry_after_s=wait_s, sequence=number)
            measuring.not_taken(limited)
            raise limited
        self._rate_hz = sample_rate_hz or self._rate_hz
        duration_s = duration_ms(pcm, self._rate_hz) / 1000
        chunk = Chunk(pcm, duration_s, sample_rate_hz, traceparent=traceparent)
        self._inbound.last_s = now_s
        self._inbound.came(sequence)
        missing = self._reorder.missing
        ready = self._reorder.push(sequence, chunk, now_s=now_s)
        self._note_missing(missing)
        try:
            self._process(ready)
        finally:
            self._wait_for_order()

    def end_order(self) -> None:
        """No more will come before what waits."""
        missing = self._reorder.missing
        self._release(self._reorder.flush())
        self._note_missing(missing)
        self._wait_for_order()

    def flush(self) -> None:
        """No more will come at all: what waits, and what the resampler holds back, goes to the pipeline."""
        self.end_order()
        self._held_ms = 0.0
        self._feed(self._ingest.flush(volume=self._volume))

    @property
    def _inbound(self) -> Inbound:
        return self._room().inbound

    @property
    def _reorder(self) -> Reorder:
        return self._inbound.order

    @property
    def _volume(self) -> float:
        state = self._room().session.broadcast
        return 0.0 if state.is_muted else state.volume

    def _process(self, chunks: Iterable[Chunk]) -> None:
        """Hand chunks on in their order. Raises: what the first bad one is refused with; the others go on."""
        refused: BabelcastError | None = None
        for chunk in chunks:
            again = self._inbound.begins_again(chunk.number)
            if again is not None:
                self._begin_again(again)
            hidden = self._inbound.is_hidden(chunk.number)
            self._note_hidden(chunk.number, hidden=hidden)
            volume = 0.0 if hidden else self._volume
            try:
                sound = self._ingest.accept(chunk.pcm, sample_rate_hz=chunk.sample_rate_hz, volume=volume)
            except BabelcastError as error:
                measuring.not_taken(error)
                refused = refused or error
            else:
                self.chunks += 1
                instruments.AUDIO_CHUNKS.add(1)
                self.received_ms += duration_ms(sound)
                self._held_ms += 1000 * chunk.duration_s - duration_ms(sound)
                cut, self._trim = sound[self._trim :], max(0, self._trim - len(sound))
                source = None
                if chunk.number is not None:
                    source = Source(chunk.number, 1000 * chunk.duration_s, self._held_ms)
                self._feed(cut, source, traceparent=chunk.traceparent)
        if refused is not None:
            raise refused

    def _note_hidden(self, number: int | None, *, hidden: bool) -> None:
        """Let a next owner know what is not to be heard: later, the controls will say something else."""
        room = self._room()
        state = room.session.broadcast
        hidden = hidden or state.is_paused or state.is_muted
        if room.pipeline is not None:
            if hidden and number is not None:
                room.pipeline.hide(number)
            elif self._inbound.hiding and not hidden:
                room.pipeline.note_place()
        self._inbound.hiding = hidden

    def _begin_again(self, place: Place) -> None:
        """What follows was sent before, to an owner that is gone; the beginning of it has its words."""
        self._trim = round(place.offset_ms * BYTES_PER_MS) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        pipeline = self._room().pipeline
        if pipeline is not None:
            pipeline.resent = True

    def _feed(self, sound: bytes, source: Source | None = None, *, traceparent: str = "") -> None:
        room = self._room()
        if sound and not room.session.broadcast.is_paused and room.pipeline is not None:
            room.pipeline.feed(sound, source, traceparent=traceparent)

    def _wait_for_order(self) -> None:
        """Come back when what waits for earlier chunks has waited long enough."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_s = self._reorder.deadline_s
        pipeline = self._room().pipeline
        if pipeline is not None:
            pipeline.hold(deadline_s is not None)
        if deadline_s is not None:
            delay_s = max(MIN_TIMER_S, deadline_s - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_waited)

    def _on_waited(self) -> None:
        missing = self._reorder.missing
        self._release(self._reorder.due(self._clock()))
        self._note_missing(missing)
        self._wait_for_order()

    def _release(self, chunks: Sequence[Chunk]) -> None:
        """Process chunks that no message can be answered for."""
        try:
            self._process(chunks)
        except BabelcastError as error:
            log.warning("a chunk that waited was refused", extra={"code": error.code})

    def _note_missing(self, before: int) -> None:
        missing = self._reorder.missing - before
        if missing:
            instruments.CHUNKS_MISSING.add(missing)
