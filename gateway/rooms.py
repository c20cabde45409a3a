"""The sessions that this gateway has something to do with: what it knows of each, and who is here for it."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from babelcast.bus.base import Bus
from babelcast.errors import BabelcastError, ErrorCode
from babelcast.protocol import server_messages as say
from babelcast.session.v1 import session_pb2 as api
from gateway import messages
from gateway.fanout import Hub
from gateway.pipeline import Pipeline
from gateway.sessions import Sessions

log = logging.getLogger(__name__)

_GONE = {ErrorCode.SESSION_NOT_FOUND, ErrorCode.SESSION_ENDED}


class Member(Protocol):
    """A connection with a role in a session."""

    connection_id: str

    async def on_audience(self, before: api.Audience, session: api.Session) -> None:
        """Listeners came, went, or changed language."""
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
    members: dict[str, Member] = field(default_factory=dict)
    speaker_outlet: Callable[[say.ServerMessage], None] | None = None
    ended: str | None = None

    def tell_speaker(self, message: say.ServerMessage) -> None:
        """Tell the speaker, if connected here."""
        if self.speaker_outlet is not None:
            self.speaker_outlet(message)


class Rooms:
    """Follows the session service's changes and brings them to the rooms."""

    def __init__(self, sessions: Sessions, hub: Hub, bus: Bus, *, clock_ms: Callable[[], int]) -> None:
        self._sessions = sessions
        self._bus = bus
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

    def leave(self, room: Room, connection_id: str) -> None:
        """Take a connection out; an empty room without a pipeline is forgotten."""
        room.members.pop(connection_id, None)
        self._forget_if_empty(room)

    async def replaced(self, room: Room, connection_id: str) -> None:
        """Tell a connection here that another one took its role."""
        member = room.members.pop(connection_id, None)
        if member is not None:
            await member.on_replaced()

    async def follow(self) -> None:
        """Follow changes until cancelled."""
        await self._sessions.watch(on_open=self._read_again, on_change=self._on_change)

    async def end(self, room: Room, reason: str) -> None:
        """The session is over: tell everybody here, once, after all that was said."""
        if room.ended is not None:
            return
        room.ended = reason
        room.session.broadcast.is_active = False
        pipeline, room.pipeline = room.pipeline, None
        if pipeline is not None:
            await pipeline.aclose()
            await self._bus.forget(room.session.session_id)
        await self._hub.drained(room.session.session_id)
        for member in tuple(room.members.values()):
            await member.on_ended(reason)
        self._rooms.pop(room.session.session_id, None)

    async def aclose(self) -> None:
        """Stop every pipeline."""
        for room in self:
            if room.pipeline is not None:
                await room.pipeline.aclose()
        self._rooms.clear()

    async def _read_again(self) -> None:
        for room in self:
            try:
                session = await self._sessions.get(room.session.session_id)
            except BabelcastError as error:
                if error.code in _GONE:
                    await self.end(room, "expired")
                continue
            await self._on_audience(room, session.audience)
            await self.on_broadcast(room, session.broadcast)

    async def _on_change(self, change: api.WatchSessionsResponse) -> None:
        room = self._rooms.get(change.session_id)
        if room is None:
            return
        if change.HasField("audience"):
            await self._on_audience(room, change.audience)
        elif change.HasField("broadcast"):
            await self.on_broadcast(room, change.broadcast)
        elif change.HasField("ended"):
            # the owner lets open sentences through before the service hears of the end; this is the rest
            await self.end(room, change.ended.reason)

    async def _on_audience(self, room: Room, audience: api.Audience) -> None:
        before = api.Audience()
        before.CopyFrom(room.session.audience)
        room.session.audience.CopyFrom(audience)
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

    def _forget_if_empty(self, room: Room) -> None:
        if not room.members and room.pipeline is None:
            self._rooms.pop(room.session.session_id, None)
