"""What no client library would send: raw bytes to a gateway, from an address of the attacker's own."""

import asyncio
import base64
import itertools
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

addresses: Final = itertools.count(66)
"""Of attackers, one for each attack: limits by address hit it, while everybody else is at 127.0.0.1."""
PATIENCE_S: Final = 20.0
TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bool = True,
    length: int = -1,
) -> bytes:
    """A WebSocket frame with anything in its head; `length` is what it says of itself, if not the truth."""
    first = (0x80 if fin else 0) | (reserved << 4) | opcode
    said = len(payload) if length < 0 else length
    head = bytes([first])
    flag = 0x80 if mask else 0
    if said < 126:
        head += bytes([flag | said])
    elif said < 1 << 16:
        head += bytes([flag | 126]) + struct.pack("!H", said)
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", said)
    if not mask:
        return head + payload
    key = b"\x21\x43\x65\x87"
    masked = bytes(byte ^ key[place & 3] for place, byte in enumerate(payload))
    return head + key + masked


def upgrade(path: str = "/", *more: str) -> bytes:
    """A good request for a WebSocket, and further header lines."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: here",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *more,
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


class Wire:
    """A TCP connection to a gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send, or find that the other side is gone."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def head(self) -> bytes:
        """The head of an answer; what came of it when the connection ended before."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        except ConnectionError:
            return b""

    async def page(self) -> bytes:
        """The body of an answer that says how long it is."""
        head = await self.head()
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """All that comes until the gateway closes."""
        got = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            try:
                while piece := await self.reader.read(65536):
                    got += piece
            except ConnectionError:
                pass
        return bytes(got)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame; (-1, b"") when the connection has ended."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                first, second = await self.reader.readexactly(2)
                length = second & 0x7F
                if length == 126:
                    (length,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif length == 127:
                    (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
                return first & 0x0F, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return -1, b""

    async def close_code(self) -> int:
        """What the gateway closes with, whatever it says before; -1 when it just ends."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return int(struct.unpack("!H", payload[:2])[0]) if payload else 1005
            if opcode < 0:
                return -1


@asynccontextmanager
async def wire(port: int, *, address: str) -> AsyncIterator[Wire]:
    """A connection, cut in the end."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def socket(port: int, *more: str, address: str) -> AsyncIterator[Wire]:
    """A WebSocket of which only the opening is well-behaved."""
    async with wire(port, address=address) as made:
        await made.send(upgrade("/", *more))
        head = await made.head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield made


def refused(answer: bytes) -> bool:
    """Whether an answer is a refusal, or there is none."""
    return answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
