"""The task that hands a speaker's sound to whichever connection there is, each chunk until it has arrived."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from msgspec import UnsetType

from babelcast.client import failures
from babelcast.client.allowance import Allowance
from babelcast.client.connection import Connection
from babelcast.client.events import AudioDropped
from babelcast.client.outbox import Chunk, Outbox
from babelcast.client.settings import ClientSettings
from babelcast.errors import BabelcastError, ErrorCode
from babelcast.pcm import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from babelcast.protocol.client_messages import SendAudio
from babelcast.protocol.server_messages import Error

REPEATED_AT_ONCE = 16
"""Chunks that are sent again before the server's refusals, if any, are waited for. It holds two seconds of
what comes after a refused chunk, so that little may be under way."""
HAND_OVER_S = 1.0
"""How long a change of connection waits for the chunk that is just being handed over."""
_REQUEST = "audio-"


class AudioSender:
    """Numbers, keeps and sends the sound of one session.

    It goes as binary frames, which the server counts. A chunk whose number the server could not tell from its
    count, one that is sent again above all, goes as JSON that names it; so a refusal names it, too.
    """

    def __init__(
        self,
        *,
        settings: ClientSettings,
        on_dropped: Callable[[AudioDropped], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives s; `on_dropped` must not block."""
        self._settings = settings
        self._on_dropped = on_dropped
        self._clock = clock
        self._outbox = Outbox(kept_s=settings.audio_kept_s, waiting_s=settings.audio_waiting_s)
        self._allowance = Allowance(settings.audio_rate, settings.audio_burst, clock())
        self._rate_hz = SAMPLE_RATE_HZ
        self._line: Connection | None = None
        self._counted: int | None = None  # the last number the server knows of, when that is certain
        self._declared = False
        self._in_a_row = 0
        self._gate = asyncio.Lock()
        self._wake = asyncio.Event()
        self._handed_over = asyncio.Event()
        self._handed_over.set()

    @property
    def pending(self) -> bool:
        """Whether something has not been handed over yet."""
        return self._outbox.pending

    def add(self, pcm: bytes, *, sample_rate_hz: int) -> None:
        """Queue sound of whole samples. The rate stays."""
        self._rate_hz = sample_rate_hz
        gone = self._outbox.add(pcm, seconds=len(pcm) / BYTES_PER_SAMPLE / sample_rate_hz)
        if gone:
            self._on_dropped(AudioDropped(gone))
        self._handed_over.clear()
        self._wake.set()

    async def flushed(self) -> None:
        """Wait until everything queued has been handed over."""
        await self._handed_over.wait()

    def begin(self, connection: Connection) -> None:
        """A session has begun on `connection`."""
        self._take_line(connection, counted=0, extra=0.0)

    @contextlib.asynccontextmanager
    async def moving(self) -> AsyncIterator[None]:
        """Nothing is sent inside: the role is between two connections. The old one has its line back when
        that fails.
        """
        line, self._line = self._line, None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HAND_OVER_S), self._gate:
                    pass
            yield
        except BaseException:
            self._line = line if line is not None and line.closed is None else None
            self._wake.set()
            raise

    def moved(self, connection: Connection, last: int | UnsetType) -> None:
        """The role is on `connection`; number `last` and those before it need not be sent again. When that is
        not known only what was not handed over is sent.
        """
        if isinstance(last, UnsetType):
            self._take_line(connection, counted=None, extra=0.0)
            return
        gone = self._outbox.resume(last)
        if gone:
            self._on_dropped(AudioDropped(gone))
        # the server takes as many more at once as were due since that chunk
        self._take_line(connection, counted=last, extra=self._outbox.pending_s * self._settings.audio_rate)

    def refused(self, error: Error) -> bool:
        """Take in what the server says about a chunk; whether it is dealt with."""
        if error.action != "sendAudio":
            return False
        if error.code == ErrorCode.CONFLICT:
            return True  # it was under way while the role moved, and goes again
        if error.code != ErrorCode.RATE_LIMIT_EXCEEDED:
            return False
        wait_s = failures.retry_after_s(failures.from_message(error))
        self._allowance.refused(self._clock(), retry_after_s=wait_s)
        number = _number(error)
        if number is None:
            self._counted = None  # from now on each chunk is named
            return False
        self._outbox.put_back(number)
        self._handed_over.clear()
        self._wake.set()
        return True

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._ready()
            wait_s = self._allowance.wait_s(self._clock())
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            async with self._gate:
                await self._hand_over()
            if not self._outbox.pending:
                self._handed_over.set()

    async def _ready(self) -> None:
        while self._line is None or not self._outbox.pending:
            self._wake.clear()
            await self._wake.wait()

    async def _hand_over(self) -> None:
        line, again = self._line, self._outbox.repeating
        chunk = self._outbox.take()
        if line is None or chunk is None:
            return
        self._allowance.take(self._clock())
        try:
            await self._send(line, chunk, again=again)
        except BabelcastError:
            if self._line is line:  # else it is known by now what has arrived
                self._outbox.put_back(chunk.number)
                self._line = None
            return
        if again:
            await self._settle(line)

    async def _send(self, line: Connection, chunk: Chunk, *, again: bool) -> None:
        named = again or self._counted is None or chunk.number != self._counted + 1
        if self._counted is not None:
            self._counted = chunk.number
        declare = self._rate_hz != SAMPLE_RATE_HZ and not self._declared
        self._declared = True
        if not named and not declare:
            await line.send_bytes(chunk.pcm)
            return
        message = SendAudio(
            audio_data=base64.b64encode(chunk.pcm).decode(),
            sample_rate=self._rate_hz if self._rate_hz != SAMPLE_RATE_HZ else None,
            sequence=chunk.number if named else None,
            request_id=f"{_REQUEST}{chunk.number}" if named else "",
        )
        await line.send(message)

    async def _settle(self, line: Connection) -> None:
        """After some chunks that were sent again, and after the last, learn which of them were refused."""
        self._in_a_row += 1
        if self._in_a_row >= REPEATED_AT_ONCE or not self._outbox.repeating:
            self._in_a_row = 0
            with contextlib.suppress(BabelcastError):  # a lost connection is seen at the next chunk
                await line.settled()

    def _take_line(self, connection: Connection, *, counted: int | None, extra: float) -> None:
        self._line, self._counted, self._declared, self._in_a_row = connection, counted, False, 0
        self._allowance.renew(self._clock(), extra=extra)
        if self._outbox.pending:
            self._handed_over.clear()
        self._wake.set()


def _number(error: Error) -> int | None:
    if isinstance(error.request_id, str) and error.request_id.startswith(_REQUEST):
        return int(error.request_id.removeprefix(_REQUEST))
    sequence = error.details.get("sequence")
    return sequence if isinstance(sequence, int) else None
