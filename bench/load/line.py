"""One connection of a listener: a protocol without a task, which reads into a buffer shared by all."""

import asyncio
import time
from typing import Protocol, cast

from bench.load import frames
from bench.load.frames import FrameReader, ProtocolFault, Upgrade

NO_CODE = 1006


class Owner(Protocol):
    """Whose connection it is."""

    def on_open(self, line: "Line") -> None:
        """It is a WebSocket now."""

    def on_refused(self, line: "Line", why: str) -> None:
        """The server would not make it one; it is closed."""

    def on_message(self, line: "Line", opcode: int, payload: bytes, size: int, now_ms: float) -> None:
        """A message came. Raises: ValueError when it cannot be understood."""

    def on_ping(self) -> None:
        """A ping was answered."""

    def on_fault(self) -> None:
        """Something came that cannot be understood."""

    def on_lost(self, line: "Line", code: int) -> None:
        """It is gone."""


class Line(asyncio.BufferedProtocol):
    """A connection. All lines of a loop may share `buffer`: what came is read before the loop goes on."""

    __slots__ = (
        "_answer",
        "_buffer",
        "_code",
        "_host",
        "_owner",
        "_path",
        "_reader",
        "_upgrade",
        "asked",
        "last",
        "top",
        "transport",
    )

    def __init__(self, owner: Owner, buffer: memoryview, *, host: str, path: str) -> None:
        self.transport: asyncio.Transport | None = None
        self.last = 0
        """The last number on this line, or the one after which it was asked for."""
        self.top = -1
        """The last segment with a final text on this line."""
        self.asked = False
        self._owner = owner
        self._buffer = buffer
        self._host = host
        self._path = path
        self._upgrade: Upgrade | None = None
        self._answer = b""
        self._reader = FrameReader()
        self._code = NO_CODE

    def send(self, frame: bytes) -> None:
        """Write a whole frame, if there is a connection."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frame)

    def leave(self, code: int = 1000) -> None:
        """Close it politely, without waiting."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frames.close(code))
            self.transport.close()

    def cut(self) -> None:
        """Drop it."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self.transport = cast(asyncio.Transport, transport)  # the only kind that stream connections have
        self._upgrade = Upgrade.new()
        self.transport.write(self._upgrade.request(self._host, self._path))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the protocol's own signature
        """Where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came."""
        now_ms = time.time() * 1000
        data = self._buffer[:nbytes]
        if self._upgrade is not None:
            rest = self._upgraded(bytes(data))
            if not rest:
                return
            data = memoryview(rest)
        try:
            messages = self._reader.feed(data)
        except ProtocolFault:
            self._owner.on_fault()
            self._code = 1002
            self.cut()
            return
        for opcode, payload, size in messages:
            if opcode == frames.TEXT or opcode == frames.BINARY:  # noqa: PLR1714 - the quickest way
                try:
                    self._owner.on_message(self, opcode, payload, size, now_ms)
                except ValueError:
                    self._owner.on_fault()
            elif opcode == frames.PING:
                self.send(frames.pong(payload))
                self._owner.on_ping()
            elif opcode == frames.CLOSE:
                self._code = frames.close_code(payload)
                self.leave()

    def eof_received(self) -> bool:
        """The server is done: so are we."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how does not matter
        """It is gone."""
        self.transport = None
        if self._upgrade is not None:
            self._upgrade = None
            self._owner.on_refused(self, "no answer")
        else:
            self._owner.on_lost(self, self._code)

    def _upgraded(self, data: bytes) -> bytes:
        """What came after the server's answer, once that is all there."""
        self._answer += data
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        if self._upgrade is None or (not end and len(head) < frames.MOST_UPGRADE_BYTES):
            return b""
        why = self._upgrade.refusal(head)
        if why:
            self._answer = b""
            self._owner.on_refused(self, why)
            self._owner = _Nobody()
            self.cut()
            return b""
        self._upgrade, self._answer = None, b""
        self._owner.on_open(self)
        return rest


class _Nobody:
    """Owns a line that was given up."""

    def on_open(self, line: Line) -> None:
        """Nothing."""

    def on_refused(self, line: Line, why: str) -> None:
        """Nothing."""

    def on_message(self, line: Line, opcode: int, payload: bytes, size: int, now_ms: float) -> None:
        """Nothing."""

    def on_ping(self) -> None:
        """Nothing."""

    def on_fault(self) -> None:
        """Nothing."""

    def on_lost(self, line: Line, code: int) -> None:
        """Nothing."""
