"""The first half of the way: the speaker's audio into results, over as many streams as it takes."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

from babelcast.channel import ChannelClosed
from babelcast.errors import BabelcastError, ErrorCode, ServiceUnavailable, is_moving
from babelcast.event.v1 import event_pb2 as event
from babelcast.pcm import SAMPLE_RATE_HZ, duration_ms, silence
from babelcast.session.v1 import session_pb2 as session_api
from babelcast.telemetry import instruments
from babelcast.transcription.v1 import transcription_pb2 as api
from gateway import measuring, messages
from gateway.backlog import Arrived, Backlog
from gateway.backoff import Backoff
from gateway.ledger import UNKNOWN, Ledger, Place, Source
from gateway.streams import Stations, TranscriptionStream
from gateway.timeline import FRAME_MS, Timeline

# What a transcription that starts anew needs: the audio of a segment that is open for as long as it may be,
# and of what a replica holds unanswered beyond it while it recognises.
UNANSWERED_MARGIN_S = 8.0
# How much longer audio may wait than a lagging transcription allows while there is none: a service process
# that died is back in 3 to 8 s.
OUTAGE_S = 30.0
# Waiting audio below which a reopened stream counts as caught up.
CAUGHT_UP_MS = 500
# Pauses between attempts to open a stream stay short: somebody is speaking.
REOPEN_WITHIN_S = 1.0
# What waiting does not mend: settings, credentials, a language. Somebody may correct them, or another replica
# may take the talk, so it is tried again: seldom, and before audio of the meantime has to go.
REFUSALS = frozenset(
    {ErrorCode.INVALID_CONFIGURATION, ErrorCode.UNSUPPORTED_LANGUAGE, ErrorCode.INVALID_PARAMETER}
)
REFUSED_S = 10.0
# So often an engine may fail on the same audio; then that is given up, or nothing after it would be heard.
# Streams that break otherwise, with their process or the network, are no fault of the audio.
POISON = 3
# A speaker whose client stops sending in the middle of a sentence has paused: this much silence ends it.
STALL_S = 1.0
STALL_SILENCE_MS = 1_000
# A speaker who pauses for longer gives the place in transcription back, and takes one with the next word.
IDLE_S = 60.0
# A speaker who comes back sends again what may have been lost, as quickly as it likes, for so long.
RESEND_S = 60.0
RESEND_WITHIN_MS = 30_000
# Audio before an open segment's first word that the word may begin in.
BEFORE_OPEN_MS = 500
END_SENT_WITHIN_S = 0.5
# The contract's limit for one message; 8 kHz audio comes out of the resampler twice as long as it was sent.
MAX_MESSAGE_BYTES = 32 * 1024

log = logging.getLogger(__name__)


def stream_config(
    settings: session_api.SessionSettings,
    *,
    session_id: str = "",
    first_segment: int = 0,
    start_ms: float = 0,
    context_ms: float = 0,
) -> api.StreamConfig:
    """How a session's audio is to be transcribed; the gateway sends 16 kHz whatever the speaker sends."""
    return api.StreamConfig(
        session_id=session_id,
        language=settings.source_language,
        sample_rate_hz=SAMPLE_RATE_HZ,
        partial_results=settings.partial_results,
        min_stability=settings.min_stability,
        max_buffer_timeout_s=settings.max_buffer_timeout_s,
        first_segment=first_segment,
        start_offset_ms=round(start_ms),
        context_ms=round(context_ms),
        quality_tier=messages.quality_tier(settings.quality_tier),
    )


class _Ending(Enum):
    """How a stream came to its end."""

    ANSWERED = auto()
    """All audio was sent and answered."""
    IDLE = auto()
    """No audio came for IDLE_S."""
    BROKEN = auto()
    """It was cut."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much audio of a talk is kept, s."""

    unanswered_s: float
    """Sent and not final: goes again when a stream breaks."""
    lag_s: float
    """Waiting while a stream takes less than comes."""
    outage_s: float
    """Waiting while there is no stream, and until a new one has caught up."""


def bounds(*, buffer_s: float, max_segment_s: float) -> Bounds:
    """`buffer_s` is what an operator allows for lag, `max_segment_s` what a speaker allows for a segment."""
    return Bounds(
        unanswered_s=max(buffer_s, max_segment_s + UNANSWERED_MARGIN_S),
        lag_s=buffer_s,
        outage_s=buffer_s + OUTAGE_S,
    )


class Transcribing:
    """Keeps the audio since the last final result and sends it again when a stream breaks."""

    def __init__(
        self,
        session: session_api.Session,
        *,
        stations: Stations,
        on_result: Callable[[api.TranscriptResult], Awaitable[None]],
        on_quality: Callable[[api.QualityEvent], None],
        on_state: Callable[[bool], Awaitable[None]],
        on_refusal: Callable[[], None],
        on_reopened: Callable[[], None],
        on_loss: Callable[[bool], None],
        clock_ms: Callable[[], int],
        buffer_s: int,
    ) -> None:
        """`on_state` hears False when transcription is interrupted and True when it is back; `on_refusal`
        that there is another `refusal`; `on_reopened` that a new stream listens; `on_loss` True when audio
        begins to be lost and False when transcription keeps up again.
        """
        self._bounds = bounds(buffer_s=buffer_s, max_segment_s=session.settings.max_buffer_timeout_s)
        self.timeline = Timeline(replay_ms=self._bounds.unanswered_s * 1000)
        self._ledger = Ledger()
        self._placed_ms = 0.0
        self._begun_ms = clock_ms()
        self._generous_until_ms = 0
        self.lost_ms = 0.0
        """Audio lost because transcription did not keep up, or was away for too long."""
        self.refusal: str | None = None
        """Why transcription was refused, until it answers again."""
        self.held = False
        """Whether audio is on its way that waits for what comes before it: then silence is no pause."""
        self._session = session
        self._stations = stations
        self._on_result = on_result
        self._on_quality = on_quality
        self._on_state = on_state
        self._on_refusal = on_refusal
        self._on_reopened = on_reopened
        self._clock_ms = clock_ms
        self._on_loss = on_loss
        self._losing = False
        self._backoff = Backoff(most_s=REOPEN_WITHIN_S)
        self._patient = False
        self._failures = 0
        self._closed = asyncio.Event()
        self._next_segment = 0
        self._answered_ms = 0
        self._open_since_ms: int | None = None
        # Policy: drops the oldest and counts; the gap takes no place in the timeline.
        self._incoming = Backlog(limit_ms=self._bounds.outage_s * 1000)

    def go_on(self, *, next_segment: int, checkpoint: event.Checkpoint | None) -> None:
        """Begin where another owner stopped; called before `run`."""
        self._next_segment = next_segment
        if checkpoint is None:
            self._ledger.begin(Place(UNKNOWN))
            return
        self._placed_ms = self._answered_ms = checkpoint.position_ms
        self._begun_ms = checkpoint.arrived_ms
        self.timeline.begin(checkpoint.position_ms)
        self._ledger.begin(Place(checkpoint.audio_sequence, checkpoint.audio_offset_ms))

    def skip_segment(self) -> None:
        """The next segment's number is taken; called before `run`."""
        self._next_segment += 1

    async def ready(self) -> bool:
        """Wait for audio; False when there will be none."""
        return await self._incoming.ready()

    def feed(self, pcm: bytes, source: Source | None = None, *, traceparent: str = "") -> None:
        """Take 16 kHz audio, of the speaker's chunk `source`; never waits."""
        if not self._incoming.closed:
            arrived = Arrived(pcm, self._clock_ms(), source, traceparent, since_s=time.perf_counter())
            self._lose(self._incoming.put(arrived), why="backlog")

    def hide(self, number: int) -> None:
        """A chunk of the speaker was not to be heard."""
        self._ledger.hide(number)

    def expect_again(self) -> None:
        """The speaker is back and may send much at once."""
        self._generous_until_ms = self._clock_ms() + RESEND_WITHIN_MS
        self._incoming.limit_ms = (self._bounds.outage_s + RESEND_S) * 1000

    def checkpoint(self, *, after: api.TranscriptResult | None = None) -> event.Checkpoint:
        """How far the audio has its words: after a final result that is being taken, or now."""
        position_ms = self.timeline.resume_ms
        if after is not None:
            position_ms = max(
                position_ms, min(after.end_ms, self.timeline.position_ms) // FRAME_MS * FRAME_MS
            )
        elif self._open_since_ms is not None:
            position_ms = min(position_ms, (self._open_since_ms - BEFORE_OPEN_MS) // FRAME_MS * FRAME_MS)
        self._placed_ms = position_ms = max(position_ms, self._placed_ms)
        place = self._ledger.place(position_ms)
        self._ledger.release(until_ms=position_ms)
        return event.Checkpoint(
            next_segment=self._next_segment if after is None else after.segment + 1,
            audio_sequence=place.sequence,
            audio_offset_ms=place.offset_ms,
            position_ms=int(position_ms),
            arrived_ms=self.timeline.arrival_ms(position_ms) or self._begun_ms,
            hidden=self._ledger.hidden(after=place.sequence),
        )

    def close(self) -> None:
        """No more audio; `run` returns when all of it has its result, or is refused."""
        self._incoming.close()
        self._closed.set()

    async def run(self, stream: TranscriptionStream | None) -> None:
        """Go, with a stream that has started or without, until the audio was closed and answered."""
        while stream := stream or await self._open():
            ending = await self._converse(stream)
            stream = None
            if ending is _Ending.BROKEN:
                self._incoming.limit_ms = max(self._incoming.limit_ms, self._bounds.outage_s * 1000)
            elif ending is _Ending.ANSWERED or not await self._incoming.ready():
                return
            else:
                self._backoff.reset()

    async def _converse(self, stream: TranscriptionStream) -> _Ending:
        try:
            async with stream, asyncio.TaskGroup() as group:
                sending = group.create_task(self._send(stream), name="send-audio")
                async for response in stream:
                    await self._on_response(response)
                # the answer to the end may be here before it is known to be sent
                await asyncio.wait([sending], timeout=END_SENT_WITHIN_S)
                if not sending.done():
                    raise ServiceUnavailable("Transcription ended before the talk did.")
        except* BabelcastError as broken:
            error = _cause(broken)
        else:
            return sending.result()
        # not in the handler, which would wrap a cancellation
        if is_moving(error):
            log.info("transcription moves to another replica")
            self._backoff.reset()
            return _Ending.BROKEN
        log.warning("transcription stream broke", extra={"code": error.code, "why": error.message})
        measuring.broke("transcription", "running", error)
        await self._interrupted(error)
        self._failures = self._failures + 1 if error.code is ErrorCode.INTERNAL_ERROR else 0
        if self._failures == POISON:
            self._give_up()
        return _Ending.BROKEN

    def _give_up(self) -> None:
        """Go on after the audio that no engine survives."""
        self._failures = 0
        replay = self.timeline.replay()
        if replay:
            self._lose(replay[-1].end_ms - replay[0].start_ms, why="engine")
            self.timeline.release(until_ms=self.timeline.position_ms)
            self._open_since_ms = None

    async def _interrupted(self, error: BabelcastError) -> None:
        await self._on_state(False)
        self._patient = error.code in REFUSALS
        if self._patient and error.message != self.refusal:
            self.refusal = error.message
            self._on_refusal()

    async def _open(self) -> TranscriptionStream | None:
        """A stream that has started; None when it is refused and no more audio comes."""
        while True:
            if self._patient:
                if self._incoming.closed:
                    return None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(REFUSED_S):
                        await self._closed.wait()
            await self._backoff.wait()
            start_ms = self.timeline.resume_ms
            config = stream_config(
                self._session.settings,
                session_id=self._session.session_id,
                first_segment=self._next_segment,
                start_ms=start_ms,
                context_ms=duration_ms(self.timeline.context(start_ms)),
            )
            try:
                stream = await self._stations.transcribe(config)
            except BabelcastError as error:
                log.warning(
                    "transcription stream not opened", extra={"code": error.code, "why": error.message}
                )
                if not is_moving(error):
                    await self._interrupted(error)
            else:
                if self._open_since_ms is not None:
                    # a segment longer than what is kept of it
                    self._lose(start_ms - self._open_since_ms, why="segment")
                    self._open_since_ms = None
                self._on_reopened()
                if self.refusal is None:  # else it may be refused again at the first word
                    await self._on_state(True)
                return stream

    async def _send(self, stream: TranscriptionStream) -> _Ending:
        ending = await self._send_audio(stream)
        await stream.send(api.StreamingTranscribeRequest(end=api.EndOfAudio()))
        return ending

    async def _send_audio(self, stream: TranscriptionStream) -> _Ending:
        await _send_pcm(stream, self.timeline.context(self.timeline.resume_ms))
        replay = self.timeline.replay()
        for piece in replay:
            await _send_pcm(stream, piece.pcm, piece.traceparent)
        stalled = not replay  # nothing was said that silence could end
        while True:
            try:
                async with asyncio.timeout(IDLE_S if stalled else STALL_S):
                    arrived = await self._incoming.receive()
                stalled = False
            except TimeoutError:
                if stalled:
                    return _Ending.IDLE
                if self.held or self._incoming.waiting_ms:  # it may have come in this very moment
                    continue
                arrived = Arrived(silence(STALL_SILENCE_MS), self._clock_ms())
                stalled = True
            except ChannelClosed:
                return _Ending.ANSWERED
            piece = self.timeline.extend(
                arrived.pcm, arrived_ms=arrived.at_ms, traceparent=arrived.traceparent
            )
            if arrived.source is not None:
                self._ledger.note(arrived.source, end_ms=piece.end_ms)
            await _send_pcm(stream, piece.pcm, piece.traceparent)
            if arrived.since_s is not None:
                instruments.AUDIO_PROCESSING.record(time.perf_counter() - arrived.since_s)
            if self._incoming.waiting_ms <= CAUGHT_UP_MS:
                self._caught_up()

    async def _on_response(self, response: api.StreamingTranscribeResponse) -> None:
        if response.HasField("quality"):
            self._on_quality(response.quality)
        elif response.HasField("result") and response.result.segment >= self._next_segment:
            if self.refusal is not None:
                self.refusal, self._patient = None, False
                await self._on_state(True)
            await self._on_result(response.result)
            if response.result.is_final:
                self._failures = 0
                self._backoff.reset()  # nothing less is progress: what breaks a stream may come again
                self._next_segment = response.result.segment + 1
                self._open_since_ms = None
                self._answered_ms = response.result.end_ms
                self.timeline.release(until_ms=self._answered_ms)
            elif self._open_since_ms is None:
                self._open_since_ms = max(response.result.start_ms, self._answered_ms)

    def _caught_up(self) -> None:
        if self._clock_ms() >= self._generous_until_ms:
            self._incoming.limit_ms = self._bounds.lag_s * 1000
        if self._losing:
            self._losing = False
            log.info("audio is kept again", extra={"lost_ms": round(self.lost_ms)})
            self._on_loss(False)

    def _lose(self, lost_ms: float, *, why: str) -> None:
        if lost_ms <= 0:
            return
        self.lost_ms += lost_ms
        instruments.AUDIO_LOST.add(lost_ms / 1000, {instruments.CAUSE: why})
        if not self._losing:
            self._losing = True
            log.warning("audio is lost", extra={"why": why, "lost_ms": round(lost_ms)})
            self._on_loss(True)


def _cause(broken: ExceptionGroup[BabelcastError]) -> BabelcastError:
    """Why a stream broke: a refusal or a planned move rather than what followed from it."""
    errors = [error for error in broken.exceptions if isinstance(error, BabelcastError)]
    return min(
        errors,
        key=lambda error: error.code not in REFUSALS and not is_moving(error),
        default=ServiceUnavailable("The stream broke."),
    )


async def _send_pcm(stream: TranscriptionStream, pcm: bytes, traceparent: str = "") -> None:
    for start in range(0, len(pcm), MAX_MESSAGE_BYTES):
        chunk = api.AudioChunk(pcm=pcm[start : start + MAX_MESSAGE_BYTES], traceparent=traceparent)
        await stream.send(api.StreamingTranscribeRequest(audio=chunk))
