"""Listeners against a server that does wrong what the test says."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from bench.load import seat
from bench.load.crowd import Crowd, Plan, Progress, RoomPlan
from bench.load.tally import CrowdEnd, loss

if TYPE_CHECKING:
    from tests.unit.bench.load.conftest import Broadcaster


@pytest.fixture(autouse=True)
def come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits."""
    monkeypatch.setattr(seat, "BACKOFF_BASE_S", 0.02)
    monkeypatch.setattr("bench.load.crowd.END_WITHIN_S", 2.0)
    monkeypatch.setattr("bench.load.crowd.JOIN_WITHIN_S", 5.0)
    monkeypatch.setattr("bench.load.crowd.REPORT_EVERY_S", 0.1)


class Hall:
    """Three listeners of one room."""

    def __init__(self, broadcaster: "Broadcaster") -> None:
        self.progress: list[Progress] = []
        self.broadcaster = broadcaster
        room = RoomPlan("golden-eagle-427", "es", 3, voice=True)
        self.crowd = Crowd(Plan([broadcaster.url], [room]), self.progress.append)

    async def come_in(self) -> None:
        """All of them."""
        await self.crowd.join()
        self.crowd.talk()
        await self.broadcaster.seated(3)

    async def go(self) -> CrowdEnd:
        """The session ends."""
        await self.broadcaster.tell(type="sessionEnded", reason="speakerEnded")
        return await self.crowd.finish()


@pytest.fixture
async def hall(broadcaster: "Broadcaster") -> Hall:
    """Everybody is in."""
    hall = Hall(broadcaster)
    await hall.come_in()
    return hall


async def test_a_good_server_has_no_faults(hall: Hall) -> None:
    """All is counted once, and the figures are those of what was sent."""
    for segment in range(3):
        await hall.broadcaster.say(segment)
    await hall.broadcaster.tell(type="broadcastPaused", broadcastState={"lastStateChange": 7})
    end = await hall.go()
    tally = end.tally
    assert loss(end.rooms, {"golden-eagle-427": {0, 1, 2}}).total == 0
    assert (tally.messages, tally.voices, tally.duplicates, tally.unread) == (21, 9, 0, 0)
    assert tally.join.count == 3 and tally.voice_lag.percentile(0.5) >= 250
    reaches = [reach for progress in hall.progress for reach in progress.reaches]
    assert len(reaches) == 7 and all(reach.count == 3 for reach in reaches)
    assert sum(progress.messages for progress in hall.progress) == 21


async def test_a_dropped_message_is_a_loss(hall: Hall) -> None:
    """In the middle, and at the end."""
    await hall.broadcaster.say(0)
    await hall.broadcaster.say(1, without=1)
    await hall.broadcaster.say(2)
    await hall.broadcaster.say(3, without=2)
    lost = loss((await hall.go()).rooms, {})
    assert (lost.voices, lost.texts) == (2, 2)


async def test_a_message_that_comes_twice_is_a_duplicate(hall: Hall) -> None:
    """Text and voice, at each listener."""
    await hall.broadcaster.say(0, twice=True)
    assert (await hall.go()).tally.duplicates == 6


async def test_who_is_cut_comes_back_and_misses_nothing(hall: Hall) -> None:
    """By token and last number, and what was said meanwhile is counted as late."""
    await hall.broadcaster.say(0)
    while any(one.last < 1 for one in hall.crowd.seats):  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.005)
    hall.crowd.seats[0].cut()
    hall.broadcaster.seats[1].transport.abort()
    await hall.broadcaster.say(1)
    async with asyncio.timeout(10):
        while hall.crowd.tally.back.count < 2:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)
    await hall.broadcaster.say(2)
    end = await hall.go()
    assert loss(end.rooms, {}).total == 0
    assert end.tally.reconnects == 2 and end.tally.back.count == 2
    assert end.tally.duplicates == 0
    again = [asked for asked in hall.broadcaster.asked if asked["action"] == "refreshConnection"]
    assert [asked["resumeToken"] for asked in again] == ["t", "t"]


async def test_who_is_asked_to_move_does_so_without_a_gap(hall: Hall) -> None:
    """The new connection first; what both bring is no duplicate."""
    await hall.broadcaster.say(0)
    await hall.broadcaster.tell(type="connectionRefreshRequired", reason="draining")
    async with asyncio.timeout(10):
        while hall.crowd.tally.back.count < 3:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)
    await hall.broadcaster.seated(3)
    await hall.broadcaster.say(1)
    end = await hall.go()
    assert (loss(end.rooms, {}).total, end.tally.duplicates) == (0, 0)
    assert (end.tally.moves, end.tally.reconnects) == (3, 0)


async def test_a_refusal_that_may_pass_is_tried_again(broadcaster: "Broadcaster") -> None:
    """And one that will not pass is an error."""
    broadcaster.refuse = ["SERVICE_UNAVAILABLE", "UNSUPPORTED_LANGUAGE"]
    hall = Hall(broadcaster)
    await hall.crowd.join()
    end = await hall.go()
    assert end.tally.refused == {"SERVICE_UNAVAILABLE": 1}
    assert end.tally.errors == {"UNSUPPORTED_LANGUAGE": 1}
    assert loss(end.rooms, {}).absent == 1


async def test_nonsense_is_counted(hall: Hall) -> None:
    """What cannot be read is told of, and hurts nobody."""
    for one in hall.broadcaster.seats:
        await one.send("{")
        await one.send(b"\x00\x00\x10\x00x")
    await hall.broadcaster.say(0)
    end = await hall.go()
    assert end.tally.unread == 6 and loss(end.rooms, {}).total == 0


async def test_nobody_listens_where_nobody_serves() -> None:
    """Attempts are counted, and the listeners are absent."""
    crowd = Crowd(Plan(["ws://127.0.0.1:1/"], [RoomPlan("s", "es", 1, voice=True)]), lambda _: None)
    joining = asyncio.create_task(crowd.join())
    async with asyncio.timeout(5):
        while not crowd.tally.refused:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)
    crowd.seats[0].gone = True
    await joining
    assert loss((await crowd.finish()).rooms, {}).absent == 1
