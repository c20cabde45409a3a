"""The sessions that this gateway has something to do with: what it knows of each, and who is here for it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from babelcast.archive.base import Archive
from babelcast.bus.base import Bus, NotOwner
from babelcast.errors import BabelcastError, ErrorCode
from babelcast.protocol import server_messages as say
from babelcast.session.v1 import session_pb2 as api
from gateway import messages
from gateway.archiving import talk_of
from gateway.fanout import Hub
from gateway.inbound import Inbound
from gateway.outlet import Outlet
from gateway.pipeline import Pipeline
from gateway.sessions import Sessions

log = logging.getLogger(__name__)

FINISH_WITHIN_S = 5.0  # for what was being said when a session ended by itself
_GONE = {ErrorCode.SESSION_NOT_FOUND, ErrorCode.SESSION_ENDED}


class Member(Protocol):
    """A connection with a role in a session."""

    connection_id: str

    async def on_audience(self, before: api.Audience, session: api.Session) -> None:
        """So many listeners came, went, or changed language that it is news. `before` has the languages that
        there were, and the count of the last time that was news.
        """
        ...

    async def on_ended(self, reason: str) -> None:
        """The session is over."""
        ...

    async def on_replaced(self) -> None:
        """Another connection took the role over."""
        ...


@dataclass(slots=True, eq=False)
class Room:
    """One session here. `session` is changed in place, so that the pipeline sees it too."""

    session: api.Session
    pipeline: Pipeline | None = None
    inbound: Inbound = field(default_factory=Inbound)
    owned: bool = False  # whether there ever was a pipeline here: then nobody else publishes
    members: dict[str, Member] = field(default_factory=dict)
    speaker: Outlet | None = None  # the way to whoever speaks, if connected here
    ended: str | None = None
    ending: "asyncio.Task[None] | None" = None
    changes: int = 0
    confirmed: bool = False
    news_count: int = 0  # listeners when that was last news: many small steps are news as well

    def __post_init__(self) -> None:
        self.news_count = self.session.audience.listener_count

    def tell_speaker(self, message: say.ServerMessage) -> None:
        """Tell the speaker, if connected here."""
        if self.speaker is not None:
            self.speaker.send(message)

    def on_pipeline_done(self, task: "asyncio.Task[None]") -> None:
        """See to a pipeline that failed, a fault of ours: the speaker's client comes back with its resume
        token and gets a new one.
        """
        if self.pipeline is None or self.pipeline.task is not task:
            return
        if task.cancelled() or (failure := task.exception()) is None:
            return
        self.pipeline = None
        if _is_replaced(failure):
            log.warning("another gateway owns the talk now")
            self.owned = False
            why = "another gateway owns the session now"
        else:
            log.error("pipeline failed", exc_info=failure)
            why = "internal error"
        if self.speaker is not None:
            self.speaker.close_soon(1011, why)


class Rooms:
    """Follows the session service's changes and brings them to the rooms."""

    def __init__(
        self, sessions: Sessions, hub: Hub, bus: Bus, archive: Archive, *, clock_ms: Callable[[], int]
    ) -> None:
        self._sessions = sessions
        self._bus = bus
        self._archive = archive
        self._hub = hub
        self._clock_ms = clock_ms
        self._rooms: dict[str, Room] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter(tuple(self._rooms.values()))

    def enter(self, session: api.Session, member: Member) -> Room:
        """Bring a connection into a session's room. What a room knows stays: changes come in order."""
        room = self._rooms.get(session.session_id)
        if room is None:
            room = self._rooms[session.session_id] = Room(session)
        room.members[member.connection_id] = member
        return room

    def known(self, session_id: str) -> api.Session | None:
        """A session that is on and has a room here."""
        room = self._rooms.get(session_id)
        return room.session if room is not None and room.ended is None else None

    async def confirm(self, room: Room) -> None:
        """Read the session of a new room again: what changed after it was read and before the room was there
        to be told was missed, its end included.
        """
        while not room.confirmed:
            changes = room.changes
            try:
                session = await self._sessions.get(room.session.session_id)
            except BabelcastError as error:
                if error.code in _GONE:
                    self._begin_end(room, "expired")
                return
            if room.changes == changes:  # else what was read may be the older of the two
                room.confirmed = True
                await self._take(room, session)

    def leave(self, room: Room, connection_id: str) -> None:
        """Take a connection out; an empty room without a pipeline is forgotten."""
        room.members.pop(connection_id, None)
        if not room.members and room.pipeline is None:
            self._forget(room)

    async def replaced(self, room: Room, connection_id: str) -> None:
        """Tell a connection here that another one took its role."""
        member = room.members.pop(connection_id, None)
        if member is not None:
            await member.on_replaced()

    async def follow(self) -> None:
        """Follow changes until cancelled."""
        await self._sessions.watch(on_open=self._read_again, on_change=self._on_change)

    async def end(self, room: Room, reason: str) -> None:
        """The session is over: tell everybody here, once, after all that was said. Waits until that is done,
        whoever began it.
        """
        await asyncio.shield(self._begin_end(room, reason))

    async def aclose(self) -> None:
        """Stop every pipeline."""
        for room in self:
            if room.ending is not None:
                await asyncio.wait([room.ending])
            if room.pipeline is not None:
                await room.pipeline.aclose()
        self._rooms.clear()

    def _begin_end(self, room: Room, reason: str) -> "asyncio.Task[None]":
        # a task, so that the changes of other sessions do not wait for it
        if room.ending is None:
            room.ended = reason
            room.session.broadcast.is_active = False
            room.ending = asyncio.create_task(
                self._end(room, reason), name=f"ending-{room.session.session_id}"
            )
            room.ending.add_done_callback(_log_failure)
        return room.ending

    async def _end(self, room: Room, reason: str) -> None:
        if room.pipeline is not None:
            await room.pipeline.finish(timeout_s=FINISH_WITHIN_S)
            room.pipeline = None
        # also where it was not owned: its owner may be gone
        self._archive.end(talk_of(room.session), at_ms=self._clock_ms())
        if room.owned:
            with contextlib.suppress(BabelcastError):  # what is not forgotten now goes when it is too old
                await self._bus.forget(room.session.session_id)
        await self._hub.drained(room.session.session_id)
        self._hub.forget(room.session.session_id)
        while room.members:
            member = room.members.pop(next(iter(room.members)))
            await member.on_ended(reason)
        self._forget(room)

    def _forget(self, room: Room) -> None:
        if self._rooms.get(room.session.session_id) is room:
            del self._rooms[room.session.session_id]

    async def _read_again(self) -> None:
        for room in self:
            try:
                session = await self._sessions.get(room.session.session_id)
            except BabelcastError as error:
                if error.code not in _GONE:
                    raise  # the watch is opened again, and everything is read again
                self._begin_end(room, "expired")
            else:
                await self._take(room, session)

    async def _on_change(self, change: api.WatchSessionsResponse) -> None:
        room = self._rooms.get(change.session_id)
        if room is None:
            return
        room.changes += 1
        if change.HasField("audience"):
            await self._on_audience(room, change.audience)
        elif change.HasField("broadcast"):
            await self.on_broadcast(room, change.broadcast)
        elif change.HasField("ended"):
            # the owner lets open sentences through before the service hears of the end; this is the rest
            self._begin_end(room, change.ended.reason)

    async def _take(self, room: Room, session: api.Session) -> None:
        await self._on_audience(room, session.audience)
        await self.on_broadcast(room, session.broadcast)

    async def _on_audience(self, room: Room, audience: api.Audience) -> None:
        before = api.Audience()
        before.CopyFrom(room.session.audience)
        room.session.audience.CopyFrom(audience)
        if room.pipeline is not None:
            room.pipeline.on_audience(before.languages)
        before.listener_count = room.news_count
        if messages.status_reason(before, audience) is None:
            return  # else each of thousands who join would be a step for each who is there
        room.news_count = audience.listener_count
        for member in tuple(room.members.values()):
            await member.on_audience(before, room.session)

    async def on_broadcast(self, room: Room, state: api.BroadcastState) -> None:
        """The speaker's controls changed: tell the listeners here; an older state than known is ignored."""
        before = api.BroadcastState()
        before.CopyFrom(room.session.broadcast)
        if before.last_change_ms > state.last_change_ms:
            return
        room.session.broadcast.CopyFrom(state)
        notice = messages.state_notice(
            room.session.session_id, before=before, after=state, now_ms=self._clock_ms()
        )
        if notice is not None:
            await self._hub.tell(room.session.session_id, notice)


def _is_replaced(failure: BaseException) -> bool:
    """Whether somebody else owns the talk, and nothing else is wrong."""
    if isinstance(failure, BaseExceptionGroup):
        return all(map(_is_replaced, failure.exceptions))
    return isinstance(failure, NotOwner)


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a session was not ended in order", exc_info=task.exception())
