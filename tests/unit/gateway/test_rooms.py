"""What a room knows of its session, when changes and answers cross."""

import time
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from babelcast.archive.config import ArchiveConfig
from babelcast.archive.opening import in_process
from babelcast.bus.in_process import InProcessBus
from babelcast.errors import ServiceUnavailable, SessionNotFound
from babelcast.session.v1 import session_pb2 as api
from gateway import messages
from gateway.fanout import Hub
from gateway.rooms import Rooms
from gateway.sessions import Sessions

CODE = "golden-eagle-427"


def session(*languages: str) -> api.Session:
    """A session with a listener in each language."""
    audience = api.Audience(listener_count=len(languages), languages=dict.fromkeys(languages, 1))
    return api.Session(session_id=CODE, audience=audience, broadcast=api.BroadcastState(is_active=True))


class Record:
    """A session service whose answers are given by the test; `before_answer` runs while one is under way."""

    def __init__(self) -> None:
        self.answers: list[api.Session | Exception] = []
        self.before_answer: list[api.WatchSessionsResponse] = []
        self.on_open: Callable[[], Awaitable[None]] | None = None
        self.on_change: Callable[[api.WatchSessionsResponse], Awaitable[None]] | None = None

    async def get(self, session_id: str) -> api.Session:
        assert session_id == CODE
        answer = self.answers.pop(0)
        if self.before_answer and self.on_change is not None:
            await self.on_change(self.before_answer.pop(0))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def watch(
        self,
        *,
        on_open: Callable[[], Awaitable[None]],
        on_change: Callable[[api.WatchSessionsResponse], Awaitable[None]],
    ) -> None:
        self.on_open, self.on_change = on_open, on_change


class Member:
    """Somebody in a room."""

    connection_id = "c1"

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.news: list[tuple[int, str]] = []

    async def on_audience(self, before: api.Audience, session: api.Session) -> None:
        reason = messages.status_reason(before, session.audience)
        if reason is not None:
            self.news.append((session.audience.listener_count, reason))

    async def on_ended(self, reason: str) -> None:
        self.ended.append(reason)

    async def on_replaced(self) -> None:
        pass


async def rooms_of(record: Record) -> Rooms:
    """Rooms that follow that record."""
    bus = InProcessBus(retention_s=60, clock=time.monotonic)
    hub = Hub(bus, clock_ms=lambda: 0, clock=time.monotonic, resume_window_s=60)
    archive = in_process(ArchiveConfig(), clock_ms=lambda: 0)
    rooms = Rooms(cast("Sessions", record), hub, bus, archive, clock_ms=lambda: 0)
    await rooms.follow()
    return rooms


async def test_an_answer_that_a_change_overtook_is_asked_for_again() -> None:
    """What was read may be the older of the two, so it does not replace what was told meanwhile."""
    record = Record()
    rooms = await rooms_of(record)
    room = rooms.enter(session(), Member())
    record.answers = [session("es"), session("es", "fr")]
    record.before_answer = [api.WatchSessionsResponse(session_id=CODE, audience=session("es", "fr").audience)]
    await rooms.confirm(room)
    assert set(room.session.audience.languages) == {"es", "fr"}
    assert record.answers == []
    await rooms.confirm(room)


async def test_a_room_that_cannot_be_confirmed_is_asked_about_again() -> None:
    """It stays as it is, and the next who comes asks."""
    record = Record()
    rooms = await rooms_of(record)
    room = rooms.enter(session(), Member())
    record.answers = [ServiceUnavailable("Away."), session("es")]
    await rooms.confirm(room)
    assert not room.confirmed
    await rooms.confirm(room)
    assert set(room.session.audience.languages) == {"es"}


async def test_a_watch_whose_sessions_cannot_be_read_is_no_watch() -> None:
    """The failure goes up, so that the watch is opened again; nothing is left unread."""
    record = Record()
    rooms = await rooms_of(record)
    room = rooms.enter(session(), Member())
    assert record.on_open is not None
    record.answers = [ServiceUnavailable("Away.")]
    with pytest.raises(ServiceUnavailable):
        await record.on_open()
    record.answers = [session("es")]
    await record.on_open()
    assert set(room.session.audience.languages) == {"es"}


async def test_an_end_is_told_once_to_those_who_come_while_it_lasts() -> None:
    """However many report it, and whoever comes in between; an older room does not forget a newer one."""
    record = Record()
    rooms = await rooms_of(record)
    member, late = Member(), Member()
    late.connection_id = "c2"
    room = rooms.enter(session(), member)
    assert record.on_change is not None
    await record.on_change(
        api.WatchSessionsResponse(session_id=CODE, ended=api.SessionEnded(reason="expired"))
    )
    assert rooms.enter(session(), late) is room
    await rooms.end(room, "speakerEnded")
    assert member.ended == late.ended == ["expired"]
    assert list(rooms) == []
    newer = rooms.enter(session(), member)
    rooms.leave(room, "c1")
    assert list(rooms) == [newer]
    record.answers = [SessionNotFound(CODE)]
    await rooms.confirm(newer)
    await rooms.end(newer, "x")
    assert member.ended == ["expired", "expired"]
    await rooms.aclose()


async def test_small_steps_are_news_when_they_add_up() -> None:
    """A count is compared with the one that was news last, languages with those that there were."""
    record = Record()
    rooms = await rooms_of(record)
    member = Member()
    rooms.enter(session(), member)

    async def audience(count: int, *languages: str) -> None:
        changed = api.Audience(listener_count=count, languages=dict.fromkeys(languages, 1))
        assert record.on_change is not None
        await record.on_change(api.WatchSessionsResponse(session_id=CODE, audience=changed))

    for count in range(1, 31):
        await audience(count, "es")
    assert member.news[0] == (1, "newLanguage")
    counts = [count for count, reason in member.news[1:] if reason == "listenerCountChange"]
    assert counts == [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29]
    member.news.clear()
    await audience(28, "es", "fr")
    await audience(27, "es")
    await audience(28, "es", "fr")
    assert member.news == [(28, "newLanguage"), (28, "newLanguage")]
    await audience(26, "es", "fr")
    await audience(25, "es", "fr")
    assert member.news[2:] == [(25, "listenerCountChange")]


async def test_an_older_state_of_the_controls_is_ignored() -> None:
    """What came by the watch does not undo what an answer has already brought."""
    rooms = await rooms_of(Record())
    room = rooms.enter(session(), Member())
    await rooms.on_broadcast(room, api.BroadcastState(is_muted=True, last_change_ms=2))
    await rooms.on_broadcast(room, api.BroadcastState(is_muted=False, last_change_ms=1))
    assert room.session.broadcast.is_muted
