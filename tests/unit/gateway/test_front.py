"""The one port: whom a connection is handed to, and what is refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from gateway.front import MAX_HEAD_BYTES, Front, Lobby, wants_websocket

PAGE = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"


class Named(asyncio.Protocol):
    """Answers with its name and what it received, and closes."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Say who got what."""
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(self._name + b"|" + data)
        self._transport.close()


@pytest.fixture
def lobby() -> Lobby:
    """Where connections wait."""
    return Lobby()


@pytest_asyncio.fixture
async def port(lobby: Lobby) -> AsyncIterator[int]:
    """A server with a short patience."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Front(
            websocket=lambda: Named(b"websocket"),
            http=lambda: Named(b"http"),
            lobby=lobby,
            head_within_s=0.3,
        ),
        "127.0.0.1",
        0,
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _said(port: int, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(("request_head", "name"), [(PAGE, b"http"), (UPGRADE, b"websocket")])
async def test_a_connection_goes_to_whom_its_request_is_for(
    port: int, request_head: bytes, name: bytes
) -> None:
    """With every byte that came, those after the head as well."""
    assert await _said(port, request_head + b"more") == name + b"|" + request_head + b"more"


async def test_a_head_may_come_in_pieces(port: int) -> None:
    """Its end may be cut anywhere."""
    for cut in range(len(UPGRADE) - 5, len(UPGRADE)):
        assert (await _said(port, UPGRADE[:cut], UPGRADE[cut:])).startswith(b"websocket|")


async def test_a_head_that_is_too_long_is_refused(port: int) -> None:
    """Without waiting for its end."""
    answer = await _said(port, b"GET / HTTP/1.1\r\nCookie: " + b"x" * MAX_HEAD_BYTES)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_head_that_does_not_come_is_not_waited_for(port: int) -> None:
    """Nobody holds a connection without saying what for."""
    assert (await _said(port, b"GET / HTTP/1.1\r\n")).startswith(b"HTTP/1.1 408 ")


async def test_one_that_leaves_early_leaves_nothing(port: int) -> None:
    """No timer fires for it and the next one is served."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()
    assert (await _said(port, PAGE)).startswith(b"http|")


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\r\n" not in line), max_size=5))
def test_any_head_is_one_or_the_other(lines: list[bytes]) -> None:
    """Whatever the lines are, and only a header line counts."""
    head = b"\r\n".join([b"GET /upgrade: websocket HTTP/1.1", *lines])
    assert wants_websocket(head + b"\r\nUPGRADE :  foo, WebSocket")
    assert wants_websocket(head) == any(
        line.partition(b":")[0].strip().lower() == b"upgrade"
        and b"websocket" in line.lower().partition(b":")[2]
        for line in lines
    )


async def test_of_too_many_that_wait_the_oldest_goes() -> None:
    """Who speaks up at once is served, however many say nothing; a full house says so."""
    full = False
    lobby = Lobby(most=2, full=lambda: full)
    server = await asyncio.get_running_loop().create_server(
        lambda: Front(websocket=lambda: Named(b"websocket"), http=lambda: Named(b"http"), lobby=lobby),
        "127.0.0.1",
        0,
    )
    async with server, asyncio.timeout(5):
        port = server.sockets[0].getsockname()[1]
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        with contextlib.suppress(ConnectionError):
            assert await silent[0][0].read() == b""
        assert len(lobby) == 2
        assert (await _said(port, PAGE)).startswith(b"http|")
        full = True
        assert (await _said(port, PAGE)).startswith(b"HTTP/1.1 503 ")
        lobby.close()
        for _, writer in silent:
            writer.transport.abort()


async def test_a_full_house_is_alive() -> None:
    """Else who watches over it would end it with all who are inside; whoever asks for more is refused."""
    lobby = Lobby(most_beyond=2, full=lambda: True)
    server = await asyncio.get_running_loop().create_server(
        lambda: Front(websocket=lambda: Named(b"websocket"), http=lambda: Named(b"http"), lobby=lobby),
        "127.0.0.1",
        0,
    )
    async with server, asyncio.timeout(5):
        port = server.sockets[0].getsockname()[1]
        probe = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert (await silent[0][0].read()).startswith(b"HTTP/1.1 503 ")  # there are more than may be heard
        answer = await _said(port, probe)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\nalive\n")
        for request in (UPGRADE, b"GET /readyz HTTP/1.1\r\n\r\n", b"POST /healthz HTTP/1.1\r\n\r\n", b""):
            assert (await _said(port, request)).startswith(b"HTTP/1.1 503 ")
        for _, writer in silent:
            writer.transport.abort()
