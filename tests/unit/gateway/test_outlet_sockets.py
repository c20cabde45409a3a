"""The way out over real sockets, to a client that may stop reading."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from gateway.outlet import MAX_WAITING_AUDIO_S, Outlet, Parcel, Piece, binary_frame, text_frame

VOICE_S = 2.0
VOICE = 50_000  # bytes
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Line:
    """An outlet and the client at its other end."""

    outlet: Outlet
    server: ServerConnection
    client: ClientConnection


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    """A connection whose buffers in the system are small."""
    came: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def serve_one(connection: ServerConnection) -> None:
        came.set_result(connection)
        await connection.wait_closed()

    async with serve(serve_one, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/"
        async with connect(
            url, compression=None, max_size=None, ping_interval=None, close_timeout=0.1
        ) as client:
            connection = await came
            plain = connection.transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
            outlet = Outlet(connection)
            yield Line(outlet, connection, client)
            await outlet.aclose()


def voice(number: int) -> bytes:
    """A binary frame that begins with its number."""
    return binary_frame(number.to_bytes(4, "big").ljust(VOICE, b"v"))


async def read(client: ClientConnection, last: Callable[[str | bytes], bool]) -> list[str | bytes]:
    """All that comes, up to the last."""
    got: list[str | bytes] = []
    async with asyncio.timeout(PATIENCE_S):
        while not got or not last(got[-1]):
            got.append(await client.recv())
    return got


async def test_frames_of_every_way_keep_their_order() -> None:
    """To the socket, to the transport, from the queue: frames come whole and in order."""
    async with line() as held:
        held.client.transport.pause_reading()
        for number in range(60):
            held.outlet.write(voice(number))
        assert held.server.paused
        held.client.transport.resume_reading()
        got = await read(held.client, lambda frame: frame[:4] == (59).to_bytes(4, "big"))
        assert [int.from_bytes(frame[:4], "big") for frame in got if isinstance(frame, bytes)] == [*range(60)]
        held.outlet.write(text_frame(b"and on"))
        assert await held.client.recv() == "and on"


async def test_who_stops_reading_loses_the_oldest_voice() -> None:
    """Ten seconds of it wait; what is dropped is counted and whole, and all text comes."""
    async with line() as held:
        held.client.transport.pause_reading()
        for number in range(500):
            text, spoken = Piece(text_frame(b"%d" % number)), Piece(voice(number), VOICE_S)
            held.outlet.write_parcel(Parcel([text, spoken]))
        dropped = held.outlet.dropped
        held.client.transport.resume_reading()
        got = await read(held.client, lambda frame: frame[:4] == (499).to_bytes(4, "big"))
        voices = [int.from_bytes(frame[:4], "big") for frame in got if isinstance(frame, bytes)]
        kept = int(MAX_WAITING_AUDIO_S / VOICE_S)
        assert voices == [*range(500 - dropped - kept), *range(500 - kept, 500)]
        assert [frame for frame in got if isinstance(frame, str)] == [str(number) for number in range(500)]
        assert all(len(frame) == VOICE for frame in got if isinstance(frame, bytes))


async def test_who_never_reads_again_is_cut_and_costs_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection ends; no write to it waits."""
    monkeypatch.setattr("gateway.outlet.STUCK_AFTER_S", 0.05)
    async with line() as held:
        held.client.transport.pause_reading()
        number = 0
        while not held.server.paused:
            held.outlet.write(voice(number))
            number += 1
        held.outlet.write(voice(number))
        async with asyncio.timeout(PATIENCE_S):
            await held.server.wait_closed()
        held.outlet.write(voice(number))


async def test_nothing_reaches_a_descriptor_that_is_another_s() -> None:
    """After a connection is gone, its number in the system may be given to another: that one gets nothing."""
    async with line() as held:
        number = held.server.transport.get_extra_info("socket").fileno()
        held.server.transport.abort()
        held.outlet.write(b"while it goes")
        await held.server.wait_closed()
        await asyncio.sleep(0)
        ours, theirs = socket.socketpair()
        others = [ours, theirs]
        with ours, theirs:
            assert number in {one.fileno() for one in others}
            for one in others:
                one.setblocking(False)
            held.outlet.write(b"for somebody else")
            for one in others:
                with pytest.raises(BlockingIOError):
                    one.recv(1)


async def test_nothing_comes_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written once the closing has begun is let go."""
    async with line() as held:
        held.outlet.write(text_frame(b"last"))
        held.outlet.close_soon(1000, "done")
        async with asyncio.timeout(PATIENCE_S):
            await held.server.wait_closed()
        held.outlet.write(text_frame(b"late"))
        assert [frame async for frame in held.client] == ["last"]
