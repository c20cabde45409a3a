"""The client's half of WebSocket (RFC 6455), as much of it as a listener needs, without any I/O.

Server frames are read as they come, at any split, and of each message only the beginning is kept. Fragmented
messages are put together. Extensions are not offered, so none may be used.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import TypeAlias

from websockets.frames import Close, Frame, Opcode

KEPT_BYTES = 16 * 1024
"""So much of a message is kept: all of a caption, and of a voice what comes before its sound."""
MOST_UPGRADE_BYTES = 16 * 1024

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LONGEST_CONTROL = 125
_SHORT, _LONG = 126, 127
_HEADER_BYTES = {_SHORT: 4, _LONG: 10}

Message: TypeAlias = tuple[int, bytes, int]
"""Opcode, the beginning of the payload (KEPT_BYTES at most), and the whole payload's size in bytes."""


class ProtocolFault(Exception):
    """The server sent what WebSocket forbids."""


class FrameReader:
    """Server frames from bytes. After a ProtocolFault it must not be fed again."""

    __slots__ = ("_fragments", "_head", "_left", "_opcode", "_payload", "_size", "_started", "_whole")

    def __init__(self) -> None:
        self._head = b""  # of a frame whose header is not all there yet
        self._payload: bytearray | None = None  # of a frame that is not all there yet
        self._left = 0
        self._opcode = 0
        self._size = 0
        self._whole = True  # whether the open frame ends its message
        self._started = 0  # opcode of the fragmented message that is open
        self._fragments: tuple[bytes, int] = (b"", 0)

    def feed(self, data: memoryview) -> list[Message]:
        """The messages and control frames that end in `data`.

        Raises: ProtocolFault.
        """
        messages: list[Message] = []
        position = 0
        end = len(data)
        if self._payload is not None:
            position = self._continue(data, messages)
        elif self._head:
            data = memoryview(self._head + bytes(data))
            self._head = b""
            end = len(data)
        while position < end:
            if end - position < 2:
                self._head = bytes(data[position:])
                break
            first, size = data[position], data[position + 1]
            start = position + 2
            if size >= _SHORT:
                start = position + _HEADER_BYTES.get(size, 2)
                if end < start:
                    self._head = bytes(data[position:])
                    break
                size = int.from_bytes(data[position + 2 : start], "big") if size <= _LONG else size
            if first & 0x70 or data[position + 1] > _LONG:
                raise ProtocolFault("a frame with an extension, or masked")
            opcode = first & 0x0F
            if opcode >= CLOSE and (not first & 0x80 or size > _LONGEST_CONTROL):
                raise ProtocolFault("a control frame in pieces, or too long")
            if end - start >= size:
                payload = bytes(data[start : start + min(size, KEPT_BYTES)])
                self._close(opcode, payload, size, whole=first >= 0x80, messages=messages)
                position = start + size
                continue
            self._payload = bytearray(data[start : start + min(size, KEPT_BYTES)])
            self._opcode, self._size, self._whole = opcode, size, first >= 0x80
            self._left = size - (end - start)
            break
        return messages

    def _continue(self, data: memoryview, messages: list[Message]) -> int:
        payload = self._payload
        if payload is None:
            return 0
        taken = min(self._left, len(data))
        if (room := KEPT_BYTES - len(payload)) > 0:
            payload += data[: min(taken, room)]
        self._left -= taken
        if not self._left:
            self._payload = None
            self._close(self._opcode, bytes(payload), self._size, whole=self._whole, messages=messages)
        return taken

    def _close(self, opcode: int, payload: bytes, size: int, *, whole: bool, messages: list[Message]) -> None:
        """A frame is all there."""
        if (whole and opcode and not self._started) or opcode >= CLOSE:
            if opcode not in {TEXT, BINARY, CLOSE, PING, PONG}:
                raise ProtocolFault("a frame of no known kind")
            messages.append((opcode, payload, size))
            return
        if bool(opcode) == bool(self._started) or opcode > BINARY:
            raise ProtocolFault("pieces that do not fit together")
        self._started = self._started or opcode
        before, before_size = self._fragments
        self._fragments = ((before + payload)[:KEPT_BYTES], before_size + size)
        if whole:
            messages.append((self._started, *self._fragments))
            self._started, self._fragments = 0, (b"", 0)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One attempt to become a WebSocket."""

    key: str

    @classmethod
    def new(cls) -> "Upgrade":
        """With a key of its own."""
        return cls(base64.b64encode(secrets.token_bytes(16)).decode())

    def request(self, host: str, path: str) -> bytes:
        """What is sent first."""
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self.key}",
            "Sec-WebSocket-Version: 13",
            "User-Agent: babelcast-bench",
        )
        return "\r\n".join((*lines, "", "")).encode()

    def refusal(self, head: bytes) -> str:
        """Why the answer (up to its empty line) is none: "HTTP 503"; empty when it is a WebSocket now."""
        status, _, rest = head.partition(b"\r\n")
        words = status.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
            return "no HTTP"
        if words[1] != b"101":
            return f"HTTP {words[1].decode(errors='replace')}"
        expected = base64.b64encode(hashlib.sha1(self.key.encode() + _GUID, usedforsecurity=False).digest())
        for line in rest.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"sec-websocket-accept":
                return "" if value.strip() == expected else "no WebSocket"
        return "no WebSocket"


def text(data: bytes) -> bytes:
    """A client's text frame, masked."""
    return Frame(Opcode.TEXT, data).serialize(mask=True)


def pong(payload: bytes) -> bytes:
    """The answer to a ping."""
    return Frame(Opcode.PONG, payload).serialize(mask=True)


def close(code: int) -> bytes:
    """The end of a connection, or the answer to the server's."""
    return Frame(Opcode.CLOSE, Close(code, "").serialize()).serialize(mask=True)


def close_code(payload: bytes) -> int:
    """Why the server closes; 1005 when it does not say."""
    return int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
