"""The way out to one client, against a socket that takes what the test lets it take."""

import asyncio
from typing import cast

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from babelcast.protocol.server_messages import PlaybackPaused
from gateway import outlet as module
from gateway.outlet import MAX_WAITING_AUDIO_S, Outlet, Parcel, Piece, binary_frame, text_frame


class Socket:
    """As much of a connection as an outlet uses; `paused` says that it takes no more."""

    def __init__(self) -> None:
        self.state = State.OPEN
        self.paused = False
        self.taken: list[bytes] = []
        self.closed: list[tuple[int, str]] = []
        self.aborted = False
        self.transport = self.protocol = self
        self.broken: OSError | None = None
        self._writable = asyncio.Event()

    def write(self, frame: bytes) -> None:
        self.taken.append(frame)

    def get_extra_info(self, name: str) -> None:
        """It has no socket of the system's."""

    def abort(self) -> None:
        self.aborted = True
        self.state = State.CLOSED
        self.resume()

    def resume(self) -> None:
        self.paused = False
        self._writable.set()

    async def drain(self) -> None:
        if self.paused:
            await self._writable.wait()
            if self.broken is not None:
                raise self.broken

    async def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


def outlet_to(socket: Socket) -> Outlet:
    """An outlet whose client is that socket."""
    return Outlet(cast("ServerConnection", socket))


async def test_frames_go_straight_through() -> None:
    """While the socket takes more, nothing waits and no task is made."""
    socket = Socket()
    outlet = outlet_to(socket)
    before = len(asyncio.all_tasks())
    outlet.send(PlaybackPaused(session_id="golden-eagle-427"))
    outlet.write_parcel(Parcel([Piece(b"2", 3), Piece(b"3")]))
    assert socket.taken[0].endswith(b'"sessionId":"golden-eagle-427"}')
    assert socket.taken[1:] == [b"2", b"3"]
    assert len(asyncio.all_tasks()) == before


async def test_what_waits_keeps_its_order() -> None:
    """A frame does not overtake those that wait, even when the socket takes more again."""
    socket = Socket()
    outlet = outlet_to(socket)
    socket.paused = True
    outlet.write(b"1")
    outlet.write(b"2")
    socket.resume()
    outlet.write(b"3")
    await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "outlet-flush"])
    outlet.write(b"4")
    assert socket.taken == [b"1", b"2", b"3", b"4"]


class Count:
    """A metric that counts."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, amount: int) -> None:
        self.value += amount


async def test_the_oldest_voice_goes_first_and_text_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit whole utterances go, oldest first; captions and the newest utterance do not."""
    count = Count()
    monkeypatch.setattr("babelcast.telemetry.instruments.UTTERANCES_DROPPED", count)
    socket = Socket()
    outlet = outlet_to(socket)
    socket.paused = True
    for number in range(6):
        caption, voice = Piece(b"c%d" % number), Piece(b"v%d" % number, MAX_WAITING_AUDIO_S / 2)
        outlet.write_parcel(Parcel([caption, voice]))
    assert outlet.dropped == 4
    outlet.write_parcel(Parcel([Piece(b"long", 3 * MAX_WAITING_AUDIO_S)]))
    assert outlet.dropped == count.value == 6
    socket.resume()
    await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "outlet-flush"])
    assert socket.taken == [b"c0", b"c1", b"c2", b"c3", b"c4", b"c5", b"long"]


async def test_too_much_waiting_cuts_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes than a client may make wait end its connection; later frames are let go."""
    count = Count()
    monkeypatch.setattr("babelcast.telemetry.instruments.LISTENERS_CUT", count)
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 10)
    socket = Socket()
    outlet = outlet_to(socket)
    socket.paused = True
    outlet.write(b"123456")
    assert not socket.aborted
    outlet.write(b"78901")
    assert socket.aborted
    assert count.value == 1
    outlet.write(b"x")
    await outlet.aclose()
    assert socket.taken == []


async def test_a_stuck_client_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that takes nothing for long is broken off."""
    monkeypatch.setattr(module, "STUCK_AFTER_S", 0.01)
    socket = Socket()
    outlet = outlet_to(socket)
    socket.paused = True
    outlet.write(b"1")
    await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "outlet-flush"])
    assert socket.aborted


async def test_a_connection_that_breaks_leaves_no_exception() -> None:
    """The flusher ends quietly; the reader of the connection is the one who sees it."""
    socket = Socket()
    outlet = outlet_to(socket)
    socket.paused = True
    outlet.write(b"1")
    flusher = next(task for task in asyncio.all_tasks() if task.get_name() == "outlet-flush")
    await asyncio.sleep(0)
    socket.broken = ConnectionResetError()
    socket.resume()
    await asyncio.wait([flusher])
    assert flusher.exception() is None


async def test_closing_waits_for_what_waits() -> None:
    """The close comes after the frames before it, once."""
    socket = Socket()
    outlet = outlet_to(socket)
    socket.paused = True
    outlet.write(b"last words")
    outlet.close_soon(1000, "done")
    outlet.close_soon(1011, "other")
    await asyncio.sleep(0)
    assert socket.closed == []
    socket.resume()
    await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "outlet-close"])
    assert (socket.taken, socket.closed) == ([b"last words"], [(1000, "done")])


async def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes nothing is closed all the same."""
    monkeypatch.setattr(module, "CLOSE_WITHIN_S", 0.01)
    socket = Socket()
    outlet = outlet_to(socket)
    socket.paused = True
    outlet.write(b"1")
    outlet.close_soon(1000, "done")
    await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "outlet-close"])
    assert socket.closed == [(1000, "done")]
    await outlet.aclose()


async def test_nothing_is_written_once_it_closes() -> None:
    """A frame for a connection that is closing is let go."""
    socket = Socket()
    socket.state = State.CLOSING
    outlet_to(socket).write(b"1")
    assert socket.taken == []


def test_frames_are_whole() -> None:
    """Unmasked, final, with the length that fits."""
    assert text_frame(b"hi") == b"\x81\x02hi"
    assert binary_frame(b"x" * 126)[:4] == b"\x82\x7e\x00\x7e"
    assert binary_frame(b"x" * 70_000)[:2] == b"\x82\x7f"
