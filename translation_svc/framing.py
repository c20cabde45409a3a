"""How requests and answers are told apart in a worker's pipes."""

import asyncio
import struct
from typing import BinaryIO, Protocol

MAX_FRAME_BYTES = 16 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class Framing(Protocol):
    """One way of marking where a message ends."""

    def wrap(self, payload: bytes) -> bytes:
        """The bytes to send for `payload`."""
        ...

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """The next message's payload. Raises: asyncio.IncompleteReadError at the end of the stream."""
        ...


class LengthPrefixed:
    """Four bytes of big-endian length, then the payload."""

    def wrap(self, payload: bytes) -> bytes:
        """The payload behind its length."""
        return _LENGTH.pack(len(payload)) + payload

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """The next payload. Raises: asyncio.IncompleteReadError also on a length that cannot be."""
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > MAX_FRAME_BYTES:
            raise asyncio.IncompleteReadError(b"", length)
        return await reader.readexactly(length)


class NullTerminated:
    """The payload, then a NUL; the payload holds none."""

    def wrap(self, payload: bytes) -> bytes:
        """The payload and its end. Raises: ValueError when the payload holds a NUL."""
        if b"\0" in payload:
            raise ValueError("a NUL inside a NUL-terminated message")
        return payload + b"\0"

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """The next payload."""
        return (await reader.readuntil(b"\0"))[:-1]


def read_blocking(source: BinaryIO) -> bytes | None:
    """The next length-prefixed payload from a blocking pipe, or None at its end. For worker processes."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    payload = source.read(length)
    return payload if len(payload) == length else None


def write_blocking(sink: BinaryIO, payload: bytes) -> None:
    """Send one length-prefixed payload through a blocking pipe. For worker processes."""
    sink.write(_LENGTH.pack(len(payload)) + payload)
    sink.flush()
