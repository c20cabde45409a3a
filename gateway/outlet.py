"""The one way out to a client: frames in order, nobody waiting for a slow socket."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN

from babelcast.protocol import codec
from babelcast.protocol.server_messages import ServerMessage
from babelcast.telemetry import instruments
from gateway import measuring

MAX_WAITING_AUDIO_S = 10.0
MAX_WAITING_BYTES = 4 * 1024 * 1024
STUCK_AFTER_S = 30.0
CLOSE_WITHIN_S = 1.0

log = logging.getLogger(__name__)


def text_frame(data: bytes) -> bytes:
    """A whole WebSocket text frame; no extension, as servers send it (unmasked)."""
    return Frame(Opcode.TEXT, data).serialize(mask=False)


def binary_frame(data: bytes) -> bytes:
    """A whole WebSocket binary frame."""
    return Frame(Opcode.BINARY, data).serialize(mask=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """A whole frame. One with `audio_s` seconds of voice may be dropped for a slow client."""

    frame: bytes
    audio_s: float = 0.0


class Parcel:
    """Pieces in order, which many clients get in one write: that costs far more than its bytes."""

    __slots__ = ("joined", "pieces")

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.joined = pieces[0].frame if len(pieces) == 1 else b"".join(piece.frame for piece in pieces)


class Outlet:
    """Writes whole frames to one client.

    Fast path: while nothing waits anywhere, frames go straight to the socket; the transport's `write`
    does the same and costs a large audience a sixth more. What the socket does not take goes to the transport
    while that accepts more, and otherwise waits here, in order. Policy: above MAX_WAITING_AUDIO_S of waiting
    voice whole utterances go, oldest first but never the newest, and count in `dropped`; a client that takes
    nothing for STUCK_AFTER_S, or makes MAX_WAITING_BYTES wait, is cut off.
    """

    __slots__ = (
        "_closer",
        "_connection",
        "_direct",
        "_fd",
        "_flusher",
        "_protocol",
        "_transport",
        "_waiting",
        "_waiting_audio_s",
        "_waiting_bytes",
        "dropped",
    )

    def __init__(self, connection: ServerConnection) -> None:
        self.dropped = 0
        self._connection = connection
        self._protocol = connection.protocol
        self._transport = connection.transport
        self._fd = _descriptor(connection.transport)
        self._direct = self._fd >= 0  # nothing waits here, and nothing is being closed
        self._waiting: deque[Piece] = deque()
        self._waiting_audio_s = 0.0
        self._waiting_bytes = 0
        self._flusher: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None

    def send(self, message: ServerMessage) -> None:
        """Send a message; it is never dropped while the client is there."""
        self.write(text_frame(codec.encode_server(message)))

    def write(self, frame: bytes) -> None:
        """Send a whole frame; it is never dropped while the client is there."""
        if not self._went_straight(frame):
            self._queue(Piece(frame))

    def write_parcel(self, parcel: Parcel) -> None:
        """Send several frames, of which a slow client may not get the voice."""
        if not self._went_straight(parcel.joined):
            for piece in parcel.pieces:
                self._queue(piece)

    def close_soon(self, code: int, reason: str) -> None:
        """Close the connection after what is waiting, without making the caller wait; idempotent."""
        if self._closer is None:
            self._closer = asyncio.create_task(self._close(code, reason), name="outlet-close")

    async def aclose(self) -> None:
        """Let go of a connection that is gone."""
        self._waiting.clear()
        for task in (self._flusher, self._closer):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    async def _close(self, code: int, reason: str) -> None:
        if self._flusher is not None:
            await asyncio.wait([self._flusher], timeout=CLOSE_WITHIN_S)
        self._direct = False  # nothing comes after the frame that says so
        await self._connection.close(code, reason)

    def _went_straight(self, data: bytes) -> bool:
        transport = self._transport
        # a transport says that it is closing before its descriptor may become another's
        if not self._direct or transport.is_closing() or transport.get_write_buffer_size():
            return False
        try:
            sent = os.write(self._fd, data)
        except OSError:  # full, or broken, which the transport will find as well
            sent = 0
        if sent < len(data) and self._protocol.state is OPEN:
            transport.write(data[sent:])
        return True

    def _queue(self, piece: Piece) -> None:
        if self._protocol.state is not OPEN:
            return
        if not self._waiting and not self._connection.paused:
            self._transport.write(piece.frame)
            return
        self._direct = False
        self._waiting.append(piece)
        self._waiting_audio_s += piece.audio_s
        self._waiting_bytes += len(piece.frame)
        self._drop_excess()
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush(), name="outlet-flush")

    def _drop_excess(self) -> None:
        while self._waiting_audio_s > MAX_WAITING_AUDIO_S:
            voices = (index for index, entry in enumerate(self._waiting) if entry.audio_s)
            oldest = next(voices)
            if next(voices, None) is None:
                break
            self._forget(self._waiting[oldest])
            del self._waiting[oldest]
            self.dropped += 1
            instruments.UTTERANCES_DROPPED.add(1)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._cut("too much waiting")

    def _forget(self, entry: Piece) -> None:
        self._waiting_audio_s -= entry.audio_s
        self._waiting_bytes -= len(entry.frame)

    def _cut(self, why: str) -> None:
        instruments.LISTENERS_CUT.add(1)
        measuring.timed_out("stalled")
        log.warning("slow client cut off", extra={"why": why, "dropped": self.dropped})
        self._waiting.clear()
        self._waiting_audio_s, self._waiting_bytes = 0.0, 0
        self._transport.abort()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                try:
                    async with asyncio.timeout(STUCK_AFTER_S):
                        await self._connection.drain()
                except TimeoutError:
                    self._cut("stuck")
                    return
                except OSError:  # the connection broke
                    return
                while self._waiting and not self._connection.paused:
                    entry = self._waiting.popleft()
                    self._forget(entry)
                    if self._protocol.state is OPEN:
                        self._transport.write(entry.frame)
            self._direct = self._fd >= 0 and self._closer is None
        finally:
            self._flusher = None


def _descriptor(transport: asyncio.Transport) -> int:
    """The socket's, if what is written to it is what the client gets; -1 otherwise."""
    plain = transport.get_extra_info("socket")
    if plain is None or transport.get_extra_info("sslcontext") is not None:
        return -1
    return int(plain.fileno())
