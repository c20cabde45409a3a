"""One stream of audio over as many connections to Amazon as it takes.

A task of its own connects when somebody speaks, sends and receives, and connects anew when that breaks. The
audio since the last final result is kept and sent again, so nothing is lost. After a minute without speech
the connection is closed; the next word opens another, and numbers and positions go on.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from babelcast.backoff import Backoff
from babelcast.pcm import SAMPLE_RATE_HZ, silence
from transcription_svc.audio import Samples
from transcription_svc.engines.amazon.audio_log import AudioLog
from transcription_svc.engines.amazon.client import Connection, Connector, Wanted
from transcription_svc.engines.amazon.faults import FAILURES, BrokenConnection, Fault, Kind, diagnose
from transcription_svc.engines.amazon.hearing import StreamClock, read_result
from transcription_svc.engines.amazon.outbox import Outbox
from transcription_svc.engines.amazon.segments import SegmentBuilder
from transcription_svc.engines.base import SegmentResult

log = logging.getLogger(__name__)

_FINALS = 64
_SEND = SAMPLE_RATE_HZ // 5
"""Samples of one message at most, 200 ms; Amazon takes 50 to 200 ms."""
_DOUBTFUL = 2 * SAMPLE_RATE_HZ
"""Speech without an answer before the end, about which Amazon is asked a second time."""


@dataclass(frozen=True, slots=True)
class Times:
    """Deadlines and measures of a stream, s."""

    start_s: float = 10.0
    """Until Amazon accepts a connection."""
    end_s: float = 5.0
    """Until all is answered after the end."""
    idle_s: float = 60.0
    """Without speech, until the connection is closed."""
    keepalive_s: float = 5.0
    """Without audio, until some silence is sent; Amazon ends a stream after 15 s."""
    stall_s: float = 15.0
    """Speech, and time, without any answer, after which a connection counts as broken."""
    ahead_s: float = 10.0
    """Audio taken in that could not be sent yet; more waits with who feeds it."""
    replay_s: float = 30.0
    """Audio without a final result that is kept at most; the oldest is dropped, after it was sent once."""
    catch_up: float = 4.0
    """How many times faster than speech old audio is sent again."""


class AmazonRecognition:
    """One stream. Owns its task; `aclose` ends it."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        connector: Connector,
        segments: SegmentBuilder,
        times: Times,
        backoff: Backoff,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._wanted = wanted
        self._connector = connector
        self._segments = segments
        self._times = times
        self._backoff = backoff
        self._clock = clock
        self._chance = chance
        self._audio = AudioLog(limit_s=times.replay_s)
        self._outbox = Outbox(_FINALS)
        self._heard = asyncio.Event()
        self._room = asyncio.Event()
        self._sent = 0
        self._fed_at = clock()
        self._unanswered = 0
        self._answered_at = clock()
        self._doubted: int | None = None
        self._retries = 0
        self._fault: Fault | None = None
        self._finished = False
        self._deadline: asyncio.Timeout | None = None
        self._task = asyncio.create_task(self._run(), name="amazon transcribe")

    async def feed(self, samples: Samples, speech: Samples) -> None:
        """Take whole frames; waits while too much was taken in that could not be sent.

        Raises: CapacityExhausted, ServiceUnavailable, InvalidConfiguration when Amazon is given up.
        """
        while not self._task.done() and (self._outbox.full or self._ahead()):
            self._room.clear()
            await self._room.wait()
        if self._task.done():
            self._task.result()
            return
        self._audio.append(samples, speech)
        self._fed_at = self._clock()
        self._outbox.put(self._segments.overdue(self._audio.end))
        self._heard.set()

    async def finish(self) -> None:
        """No more audio comes; the results end within `end_s`."""
        self._finished = True
        self._heard.set()
        if self._deadline is not None and not self._task.done():
            self._deadline.reschedule(self._end_at())

    async def results(self) -> AsyncIterator[SegmentResult]:
        """All results in order.

        Raises: CapacityExhausted, ServiceUnavailable, InvalidConfiguration when Amazon is given up.
        """
        async for result in self._outbox:
            self._room.set()
            yield result
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def aclose(self) -> None:
        """Stop at once; idempotent."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # whoever feeds or reads has had it

    def _ahead(self) -> bool:
        """Whether speech waits that Amazon has not taken for too long."""
        waiting = self._audio.end - self._sent
        return waiting > self._times.ahead_s * SAMPLE_RATE_HZ and self._pending() is not None

    def _pending(self) -> int | None:
        """Where speech begins that has no final text."""
        return self._audio.speech_after(self._segments.settled)

    def _end_at(self) -> float:
        return asyncio.get_running_loop().time() + self._times.end_s

    async def _run(self) -> None:
        try:
            try:
                async with asyncio.timeout_at(self._end_at() if self._finished else None) as self._deadline:
                    await self._serve()
            except TimeoutError:
                log.warning("transcription did not end in time", extra={"retries": self._retries})
                if self._fault is not None:
                    raise self._fault.error() from None
                if self._unanswered > _DOUBTFUL:  # the owner has the audio and asks elsewhere
                    raise diagnose(BrokenConnection()).error() from None
            self._outbox.put(self._segments.finish())
        finally:
            self._outbox.close()
            self._room.set()

    async def _serve(self) -> None:
        """Answer all speech up to the end."""
        while True:
            self._heard.clear()
            begin = self._pending()
            if begin is not None:
                await self._try(begin)
            elif self._finished:
                return
            else:
                self._sent = self._audio.end
                self._forget()
                await self._heard.wait()

    async def _try(self, begin: int) -> None:
        """Hold one connection, from a position on; wait a moment when it breaks."""
        try:
            await self._converse(begin)
        except FAILURES as error:
            fault = diagnose(error)
            log.warning(
                "transcription connection broke",
                extra={"code": fault.code, "kind": fault.kind.name, "retries": self._retries},
            )
            self._segments.restart()
            if fault.kind is Kind.PERMANENT or self._retries >= self._backoff.retries:
                raise fault.error() from error
            self._fault = fault
            self._retries += 1
            await asyncio.sleep(self._backoff.delay_s(self._retries - 1, self._chance))
        else:
            self._retries = 0

    async def _converse(self, begin: int) -> None:
        """Send from a position on until there is a reason to stop, and take what is heard.

        Raises: one of `FAILURES`.
        """
        self._sent = begin
        self._unanswered = 0
        async with asyncio.timeout(self._times.start_s):
            connection = await self._connector.connect(self._wanted)
        clock = StreamClock(begin)
        self._answered_at = self._clock()
        try:
            receiving = asyncio.create_task(self._receive(connection, clock), name="receive")
            sending = asyncio.create_task(self._send(connection, clock), name="send")
            try:
                await asyncio.wait([receiving, sending], return_when=asyncio.FIRST_COMPLETED)
                if not sending.done():
                    await receiving  # says why it ended
                await sending
                await self._last_words(receiving)
            finally:
                await _cancel(receiving, sending)
        finally:
            connection.close()

    async def _last_words(self, receiving: "asyncio.Task[None]") -> None:
        """Take what comes after the end was sent; what is open then ends as it is known."""
        begin = self._pending()
        try:
            async with asyncio.timeout(self._times.end_s):
                await asyncio.shield(receiving)
        except TimeoutError:
            log.warning("transcription did not answer the end")
        if self._unanswered > _DOUBTFUL and begin != self._doubted:
            # it had ended its answer long before, which the library does not tell; or it was no speech
            self._doubted = begin
            raise BrokenConnection("the end came without an answer to speech")
        self._outbox.put(self._segments.finish())
        # all that was sent has had its chance
        self._segments.settled = max(self._segments.settled, self._sent)

    async def _receive(self, connection: Connection, clock: StreamClock) -> None:
        results = connection.results()
        async for result in results:
            self._unanswered = 0
            self._answered_at = self._clock()
            self._fault = None
            if result is not None:
                settled = self._segments.settled
                self._outbox.put(self._segments.take(read_result(result, clock.position)))
                self._forget()
                if self._segments.settled > settled:
                    self._retries = 0  # nothing less is progress: the same audio may break the next one, too
        self._room.set()

    async def _send(self, connection: Connection, clock: StreamClock) -> None:
        """Send until the end, or until nobody has spoken for `idle_s`; then say that it is the end."""
        while True:
            self._heard.clear()
            pcm = self._audio.read(self._sent, _SEND)
            if pcm:
                await self._send_piece(connection, clock, pcm)
            elif self._finished:
                break
            else:
                idle_s = self._idle_s()
                if idle_s >= self._times.idle_s:
                    log.info("transcription connection closed", extra={"idle_s": round(idle_s)})
                    break
                await self._more_or_keepalive(connection, clock, self._times.idle_s - idle_s)
        await connection.end()

    async def _send_piece(self, connection: Connection, clock: StreamClock, pcm: bytes) -> None:
        if self._stalled():
            raise BrokenConnection("no answer to speech")
        await connection.send(pcm)
        samples = len(pcm) // 2
        clock.sent(samples)
        if self._audio.has_speech(self._sent, self._sent + samples):
            self._unanswered += samples
        self._sent += samples
        self._room.set()
        self._forget()
        if self._audio.end - self._sent >= _SEND:  # behind: catch up, but not all at once
            await asyncio.sleep(samples / SAMPLE_RATE_HZ / self._times.catch_up)

    async def _more_or_keepalive(self, connection: Connection, clock: StreamClock, most_s: float) -> None:
        try:
            async with asyncio.timeout(min(self._times.keepalive_s, most_s)):
                await self._heard.wait()
        except TimeoutError:
            pcm = silence(100)
            await connection.send(pcm)
            clock.inserted(len(pcm) // 2)

    def _stalled(self) -> bool:
        """Whether Amazon has said nothing of much speech for long; catching up it may be late."""
        patience_s = self._times.stall_s
        late = self._clock() - self._answered_at > patience_s
        return late and self._unanswered > patience_s * SAMPLE_RATE_HZ

    def _idle_s(self) -> float:
        """How long nobody has spoken, in audio and in time without any."""
        quiet = (self._audio.end - self._audio.voiced_end) / SAMPLE_RATE_HZ
        return quiet + max(0.0, self._clock() - self._fed_at)

    def _forget(self) -> None:
        self._audio.forget(settled=self._segments.settled, read=self._sent)


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            with contextlib.suppress(*FAILURES):
                task.result()
