"""A connection whose role is listener."""

from collections.abc import Callable

from msgspec import UNSET

from babelcast.bus.base import Topic
from babelcast.protocol import client_messages as ask
from babelcast.protocol import server_messages as say
from babelcast.session.v1 import session_pb2 as api
from babelcast.telemetry.instruments import LANGUAGE, LISTENERS_JOINED
from gateway import messages
from gateway.archiving import talk_of
from gateway.desk import Desk
from gateway.late import Earlier
from gateway.outlet import Outlet
from gateway.rooms import Room
from gateway.rounds import Seat


class Listener:
    """The listener's side of a session on this connection."""

    def __init__(
        self, desk: Desk, room: Room, seat: Seat, *, language: str, connection_id: str, outlet: Outlet
    ) -> None:
        self.connection_id = connection_id
        self.room = room
        self._desk = desk
        self._seat = seat
        self._language = language
        self._outlet = outlet

    @classmethod
    async def join(
        cls, desk: Desk, message: ask.JoinSession, *, address: str, connection_id: str, outlet: Outlet
    ) -> "Listener":
        """Take a seat. Raises: BabelcastError."""
        async with desk.hub.door.passing():
            with desk.guesses.looking(address, desk.clock()):
                listener = await cls._join(
                    desk, message, address=address, connection_id=connection_id, outlet=outlet
                )
        if not message.resume_token:
            LISTENERS_JOINED.add(1, {LANGUAGE: listener._language})
        return listener

    @classmethod
    async def _join(
        cls, desk: Desk, message: ask.JoinSession, *, address: str, connection_id: str, outlet: Outlet
    ) -> "Listener":
        known = desk.rooms.known(message.session_id)  # what it is spoken in does not change
        session = known or await desk.sessions.get(message.session_id)
        language = await desk.languages.target(
            message.target_language, source=session.settings.source_language
        )
        joined = await desk.sessions.join(
            api.JoinSessionRequest(
                session_id=message.session_id,
                connection_id=connection_id,
                target_language=language,
                client_address=address,
                resume_token=message.resume_token,
            )
        )
        listener = cls._enter(
            desk, joined.session, message, language=language, connection_id=connection_id, outlet=outlet
        )
        if joined.previous_connection_id not in {"", connection_id}:
            await desk.rooms.replaced(listener.room, joined.previous_connection_id)
        session = joined.session

        def answer(last_sequence: int) -> say.SessionJoined:
            return say.SessionJoined(
                session_id=session.session_id,
                source_language=session.settings.source_language,
                target_language=language,
                connection_id=connection_id,
                resume_token=joined.resume_token,
                listener_count=session.audience.listener_count,
                quality_tier=messages.quality_tier(session.settings.quality_tier),
                broadcast_state=messages.broadcast_state(session.broadcast),
                last_sequence_number=last_sequence,
                request_id=message.request_id or UNSET,
                timestamp=desk.clock_ms(),
            )

        if message.history and not message.resume_token:
            listener._seat.late = True
            await listener._sit(answer, earlier=listener._earlier(message.history))
            return listener
        after = message.last_sequence_number if message.resume_token else None
        await listener._sit(answer, after_sequence=after)
        return listener

    @classmethod
    async def take_over(
        cls,
        desk: Desk,
        message: ask.RefreshConnection,
        taken: api.RefreshConnectionResponse,
        *,
        connection_id: str,
        outlet: Outlet,
    ) -> "Listener":
        """Go on in a seat that was taken over. Raises: ServiceUnavailable."""
        listener = cls._enter(
            desk,
            taken.session,
            message,
            language=taken.target_language,
            connection_id=connection_id,
            outlet=outlet,
        )
        await desk.rooms.replaced(listener.room, taken.previous_connection_id)

        def answer(last_sequence: int) -> say.ConnectionRefreshComplete:
            return say.ConnectionRefreshComplete(
                session_id=taken.session.session_id,
                role="listener",
                target_language=taken.target_language,
                resume_token=taken.resume_token,
                last_sequence_number=last_sequence,
                request_id=message.request_id or UNSET,
                timestamp=desk.clock_ms(),
            )

        await listener._sit(answer, after_sequence=message.last_sequence_number)
        return listener

    async def act(self, message: ask.AnyClientMessage) -> None:
        """Do what a listener's message asks. Raises: BabelcastError."""
        request_id = message.request_id or UNSET
        session_id = self.room.session.session_id
        match message:
            case ask.ChangeLanguage():
                await self._change_language(message)
            case ask.PausePlayback():
                self._desk.hub.set_playing(self._topic, self._seat, playing=False)
                self._outlet.send(
                    say.PlaybackPaused(
                        session_id=session_id, request_id=request_id, timestamp=self._desk.clock_ms()
                    )
                )
            case ask.ResumePlayback():
                self._desk.hub.set_playing(self._topic, self._seat, playing=True)
                self._outlet.send(
                    say.PlaybackResumed(
                        session_id=session_id,
                        last_sequence_number=self._desk.hub.last_sequence(self._topic),
                        request_id=request_id,
                        timestamp=self._desk.clock_ms(),
                    )
                )
            case _:
                raise AssertionError(f"not a listener's message: {message!r}")

    async def on_audience(self, before: api.Audience, session: api.Session) -> None:
        """A listener does not hear of other listeners."""

    async def on_ended(self, reason: str) -> None:
        """Tell the listener, and let it go."""
        self._outlet.send(
            say.SessionEnded(
                session_id=self.room.session.session_id, reason=reason, timestamp=self._desk.clock_ms()
            )
        )
        self._outlet.close_soon(1000, "the session has ended")

    async def on_replaced(self) -> None:
        """Another connection listens now."""
        self._outlet.close_soon(1000, "replaced by a new connection")

    async def leave(self, *, may_come_back: bool) -> None:
        """The connection is gone."""
        may_come_back = may_come_back and self.room.ended is None
        await self._desk.hub.detach(self._topic, self._seat, may_come_back=may_come_back)
        self._leave_language()
        self._desk.rooms.leave(self.room, self.connection_id)

    def _leave_language(self) -> None:
        """Whoever owns the talk here knows that this one is not on another gateway."""
        if self.room.pipeline is not None:
            self.room.pipeline.left_here(self._language)

    @property
    def _topic(self) -> Topic:
        return Topic(self.room.session.session_id, self._language)

    @classmethod
    def _enter(
        cls,
        desk: Desk,
        session: api.Session,
        wishes: ask.JoinSession | ask.RefreshConnection,
        *,
        language: str,
        connection_id: str,
        outlet: Outlet,
    ) -> "Listener":
        seat = Seat(outlet, audio=wishes.audio, delivery=wishes.delivery, captions=wishes.captions)
        listener = cls(
            desk, Room(session), seat, language=language, connection_id=connection_id, outlet=outlet
        )
        listener.room = desk.rooms.enter(session, listener)
        return listener

    async def _change_language(self, message: ask.ChangeLanguage) -> None:
        source = self.room.session.settings.source_language
        language = await self._desk.languages.target(message.target_language, source=source)
        if language != self._language:
            self._leave_language()
        session = await self._desk.sessions.change_language(self.connection_id, language)
        if language != self._language:
            await self._desk.hub.detach(self._topic, self._seat)
        self._language = language

        def answer(last_sequence: int) -> say.LanguageChanged:
            return say.LanguageChanged(
                session_id=session.session_id,
                target_language=language,
                last_sequence_number=last_sequence,
                request_id=message.request_id or UNSET,
                timestamp=self._desk.clock_ms(),
            )

        await self._sit(answer)

    def _earlier(self, history_s: int) -> Earlier:
        return Earlier(
            self._desk.archive,
            talk_of(self.room.session),
            self._language,
            since_ms=self._desk.clock_ms() - 1000 * history_s,
        )

    async def _sit(
        self,
        answer: Callable[[int], say.ServerMessage],
        *,
        after_sequence: int | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        try:
            await self._desk.rooms.confirm(self.room)
            await self._desk.hub.attach(
                self._topic, self._seat, after_sequence=after_sequence, earlier=earlier, greet=answer
            )
        except BaseException:
            self._desk.rooms.leave(self.room, self.connection_id)
            raise
