"""One client: a visitor until it creates, joins or refreshes, then a speaker or a listener of one session."""

import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from msgspec import UNSET
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from babelcast import logs
from babelcast.auth.verifier import Speaker as Identity
from babelcast.errors import (
    BabelcastError,
    InternalError,
    MessageTooLarge,
    RateLimitExceeded,
    ServiceUnavailable,
    TokenExpired,
    Unauthorized,
    UnauthorizedAction,
)
from babelcast.protocol import client_messages as ask
from babelcast.protocol import codec
from babelcast.protocol import server_messages as say
from babelcast.session.v1 import session_pb2 as api
from gateway import measuring, messages, operators, permissions, tracing
from gateway.desk import Desk
from gateway.lifetime import Lifetime, Limits, Step
from gateway.limits import TokenBucket
from gateway.listener import Listener
from gateway.outlet import Outlet
from gateway.permissions import Role
from gateway.speaker import Speaker

MAX_TEXT_BYTES = 64 * 1024
# Refusals a client may collect at once and a second; one that goes on beyond is cut off.
FLOOD_BURST = 200
FLOOD_RATE = 20.0
FLOODING = 4429
TIMED_OUT = 4408

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Visit:
    """What the upgrade request said; `identity` is set when it carried a good token, in its header or else in
    its URL.
    """

    address: str
    base_url: str
    """Where the client found the gateway, as it sees it: "https://talks.example"."""
    identity: Identity | None
    by_header: bool
    query: Mapping[str, str]


class Connection:
    """Reads one client's frames, one at a time, and answers every one or says why not."""

    def __init__(self, socket: ServerConnection, visit: Visit, desk: Desk) -> None:
        self.connection_id = secrets.token_urlsafe(12)
        self.outlet = Outlet(socket)
        self._socket = socket
        self._visit = visit
        self._desk = desk
        self._role: Speaker | Listener | None = None
        self._known = False  # whether the session service may know of this connection
        self._draining = False
        self._flooding = False
        now_s = desk.clock()
        per_minute = desk.config.rate_limit_heartbeats_per_min
        self._heartbeats = TokenBucket.full(rate=per_minute / 60, burst=per_minute, now_s=now_s)
        self._refusals = TokenBucket.full(rate=FLOOD_RATE, burst=FLOOD_BURST, now_s=now_s)
        self._lifetime = Lifetime(Limits.of(desk.config), now_s=now_s)

    async def run(self) -> None:
        """Serve until the connection closes."""
        logs.bind(connection_id=self.connection_id)
        try:
            await self._enter_by_url()
            async for frame in self._socket:
                if self._flooding:
                    continue  # until it is closed
                self._lifetime.heard(self._desk.clock())
                if isinstance(frame, bytes):
                    await self._on_audio_frame(frame)
                else:
                    await self._on_text(frame)
        except ConnectionClosed:
            pass
        finally:
            await self._leave()

    @property
    def role(self) -> Role:
        """What the client has to move with: NONE without a role, and after the end of its session."""
        if self._role is not None and self._role.room.ended is not None:
            return Role.NONE
        return self._role_name

    def require_refresh(self, *, refresh_by_ms: int) -> None:
        """Take no role any more, and ask a client that has one to move to another gateway."""
        self._draining = True
        self._ask_to_refresh(refresh_by_ms=refresh_by_ms, reason="draining")

    def check_lifetime(self) -> None:
        """Do what is due: ask for a refresh, warn, or close a connection that is too old or silent."""
        now_s = self._desk.clock()
        match self._lifetime.due(now_s):
            case Step.REFRESH:
                left_ms = round(1000 * self._lifetime.left_s(now_s))
                self._ask_to_refresh(refresh_by_ms=self._desk.clock_ms() + left_ms, reason="maxDuration")
            case Step.WARN:
                self._warn(remaining_minutes=round(self._lifetime.left_s(now_s) / 60))
            case Step.EXPIRE:
                self._time_out("This connection has lasted as long as one may.", now_s)
            case Step.IDLE:
                measuring.timed_out("idle")
                self._time_out("Nothing was heard for too long.", now_s)

    def _ask_to_refresh(self, *, refresh_by_ms: int, reason: say.RefreshReason) -> None:
        if self._role is not None and self._role.room.ended is None:
            self.outlet.send(
                say.ConnectionRefreshRequired(
                    session_id=self._role.room.session.session_id,
                    role="speaker" if isinstance(self._role, Speaker) else "listener",
                    refresh_by=refresh_by_ms,
                    reason=reason,
                    timestamp=self._desk.clock_ms(),
                )
            )

    def _warn(self, *, remaining_minutes: int) -> None:
        self.outlet.send(
            say.ConnectionWarning(
                message="This connection will be closed; open a new one and refresh.",
                remaining_minutes=remaining_minutes,
                timestamp=self._desk.clock_ms(),
            )
        )

    def _time_out(self, why: str, now_s: float) -> None:
        self.outlet.send(
            say.ConnectionTimeout(
                message=why,
                idle_seconds=round(self._lifetime.silent_s(now_s)),
                timestamp=self._desk.clock_ms(),
            )
        )
        self.outlet.close_soon(TIMED_OUT, "timed out")

    # frames

    async def _enter_by_url(self) -> None:
        fields: dict[str, object] = {key: value for key, value in self._visit.query.items() if key != "token"}
        if "action" not in fields and "sessionId" in fields:
            fields["action"] = "joinSession"
        if fields.get("action") not in ("joinSession", "createSession"):
            return
        try:
            message = codec.from_fields(fields)
        except codec.Rejected as rejected:
            self._refuse(rejected.error, action=rejected.action, request_id=rejected.request_id)
        else:
            await self._on_message(message)

    async def _on_text(self, text: str) -> None:
        if len(text) > MAX_TEXT_BYTES:
            self._refuse(MessageTooLarge(size=len(text), limit=MAX_TEXT_BYTES), action="")
            return
        try:
            message = codec.decode_client(text)
        except codec.Rejected as rejected:
            self._refuse(rejected.error, action=rejected.action, request_id=rejected.request_id)
        else:
            await self._on_message(message)

    async def _on_audio_frame(self, pcm: bytes) -> None:
        async with self._answered("sendAudio"):
            self._permit(ask.SendAudio, "sendAudio", "")
            if not isinstance(self._role, Speaker):
                raise UnauthorizedAction("sendAudio", self._role_name)
            await self._role.audio(pcm)

    async def _on_message(self, message: ask.AnyClientMessage) -> None:
        action = str(message.__struct_config__.tag)
        async with self._answered(action, message.request_id):
            with self._traced(message, action):
                self._permit(
                    type(message),
                    action,
                    getattr(message, "session_id", ""),
                    operator=await self._is_operator(message),
                )
                await self._act(message)
                logs.bind(session="" if self._role is None else self._role.room.session.session_id)

    def _traced(
        self, message: ask.AnyClientMessage, action: str
    ) -> contextlib.AbstractContextManager[object]:
        """A span of the session's trace or the client's, where there is one; audio has its own."""
        if isinstance(message, ask.SendAudio | ask.Heartbeat):
            return contextlib.nullcontext()
        own = self._role.room.session.session_id if self._role is not None else ""
        creates = isinstance(message, ask.CreateSession) and self._visit.identity is not None
        return tracing.of_message(
            action,
            message.traceparent,
            session_id=own or getattr(message, "session_id", ""),
            trusted=creates or isinstance(self._role, Speaker),
        )

    @contextlib.asynccontextmanager
    async def _answered(self, action: str, request_id: str = "") -> AsyncIterator[None]:
        """Answer what goes wrong inside with an error."""
        with measuring.message(action):
            try:
                yield
            except BabelcastError as error:
                self._refuse(error, action=action, request_id=request_id)
            except ConnectionClosed:
                raise
            except Exception:
                correlation_id = secrets.token_hex(8)
                log.exception("message failed", extra={"action": action, "correlation_id": correlation_id})
                self._refuse(
                    InternalError(), action=action, request_id=request_id, correlation_id=correlation_id
                )

    async def _act(self, message: ask.AnyClientMessage) -> None:
        if self._draining and type(message) in permissions.OPENS:
            raise ServiceUnavailable("This gateway is about to stop; connect again.")
        match message:
            case ask.CreateSession():
                await self._create(message)
            case ask.JoinSession():
                with measuring.joining():
                    await self._join(message)
            case ask.RefreshConnection():
                await self._refresh(message)
            case ask.Heartbeat():
                self._heartbeat(message)
            case ask.ListLanguages():
                await self._list_languages(message)
            case ask.GetSessionStatus():
                await self._status(message)
            case ask.ListSessions() | ask.ShowSession() | ask.CloseSession():
                self.outlet.send(await operators.answer(self._desk, message))
            case _:
                if self._role is None:
                    raise UnauthorizedAction(str(message.__struct_config__.tag), self._role_name)
                await self._role.act(message)

    # roles

    @property
    def _role_name(self) -> Role:
        if self._role is None:
            return Role.NONE
        return Role.SPEAKER if isinstance(self._role, Speaker) else Role.LISTENER

    def _permit(
        self, kind: type[ask.AnyClientMessage], action: str, named_session: str, *, operator: bool = False
    ) -> None:
        room = self._role.room if self._role is not None else None
        permissions.check(
            kind,
            action=action,
            role=self._role_name,
            own_session=room.session.session_id if room is not None else "",
            named_session=named_session,
            ended=room is not None and room.ended is not None,
            operator=operator,
        )

    async def _is_operator(self, message: ask.AnyClientMessage) -> bool:
        """Whether an operator's token came with an operator's message."""
        if not isinstance(message, ask.ListSessions | ask.ShowSession | ask.CloseSession):
            return False
        if self._visit.identity is None and not message.token:
            return False
        identity = await self._identity(message.token)
        return operators.is_operator(identity, self._desk.config.operator_group)

    async def _identity(self, token: str) -> Identity:
        """Who speaks: by the header's token, or else by the message's, or else by the URL's."""
        known = self._visit.identity
        if known is None or (token and not self._visit.by_header):
            if not token:
                raise Unauthorized("A speaker needs a token.")
            return await self._desk.verifier.verify(token)
        if known.expires_at_s * 1000 <= self._desk.clock_ms():
            raise TokenExpired
        return known

    async def _create(self, message: ask.CreateSession) -> None:
        identity = await self._identity(message.token)
        await self._give_up_role()
        self._known = True
        self._role = await Speaker.create(
            self._desk,
            message,
            subject=identity.subject,
            connection_id=self.connection_id,
            outlet=self.outlet,
            base_url=self._visit.base_url,
        )

    async def _join(self, message: ask.JoinSession) -> None:
        await self._give_up_role()
        self._known = True
        try:
            self._role = await Listener.join(
                self._desk,
                message,
                address=self._visit.address,
                connection_id=self.connection_id,
                outlet=self.outlet,
            )
        except BabelcastError:
            await self._disconnect()
            raise

    async def _refresh(self, message: ask.RefreshConnection) -> None:
        if message.token:
            await self._identity(message.token)
        await self._give_up_role()
        self._known = True
        with self._desk.guesses.looking(self._visit.address, self._desk.clock()):
            taken = await self._desk.sessions.refresh(
                api.RefreshConnectionRequest(
                    session_id=message.session_id,
                    connection_id=self.connection_id,
                    resume_token=message.resume_token,
                )
            )
        if taken.role == api.ROLE_SPEAKER:
            self._role = await Speaker.take_over(
                self._desk,
                taken,
                request_id=message.request_id,
                connection_id=self.connection_id,
                outlet=self.outlet,
            )
            return
        try:
            self._role = await Listener.take_over(
                self._desk, message, taken, connection_id=self.connection_id, outlet=self.outlet
            )
        except BabelcastError:
            await self._disconnect()
            raise

    async def _give_up_role(self) -> None:
        if self._role is not None:
            role, self._role = self._role, None
            # who means to stay away closes with 1000; a page that is reloaded or offline does not
            await role.leave(may_come_back=self._socket.close_code != CloseCode.NORMAL_CLOSURE)
            await self._disconnect()

    async def _leave(self) -> None:
        await self._give_up_role()
        await self._disconnect()
        await self.outlet.aclose()

    async def _disconnect(self) -> None:
        if not self._known:
            return
        self._known = False
        # the service's own timers end what it never hears of
        with contextlib.suppress(BabelcastError):
            await self._desk.sessions.disconnect(self.connection_id)

    # answers that need no role

    def _heartbeat(self, message: ask.Heartbeat) -> None:
        wait_s = self._heartbeats.take(self._desk.clock())
        if wait_s:
            raise RateLimitExceeded("heartbeats", retry_after_s=wait_s)
        self._lifetime.heard(self._desk.clock(), heartbeat=True)
        now_ms = self._desk.clock_ms()
        self.outlet.send(
            say.HeartbeatAck(
                server_time=now_ms,
                timestamp=int(message.timestamp) if message.timestamp is not None else now_ms,
                request_id=message.request_id or UNSET,
            )
        )

    async def _list_languages(self, message: ask.ListLanguages) -> None:
        self.outlet.send(
            say.Languages(
                source=await self._desk.languages.sources(),
                targets=await self._desk.languages.targets(),
                request_id=message.request_id or UNSET,
                timestamp=self._desk.clock_ms(),
            )
        )

    async def _status(self, message: ask.GetSessionStatus) -> None:
        if self._role is None:
            raise UnauthorizedAction("getSessionStatus", self._role_name)
        session = await self._desk.sessions.get(self._role.room.session.session_id)
        if isinstance(self._role, Speaker):
            self._role.tell_status(session, reason="requested", request_id=message.request_id)
            return
        self.outlet.send(
            messages.session_status(
                session, reason="requested", now_ms=self._desk.clock_ms(), request_id=message.request_id
            )
        )

    def _refuse(
        self, error: BabelcastError, *, action: str, request_id: str = "", correlation_id: str = ""
    ) -> None:
        measuring.refused(error)
        self.outlet.send(
            messages.error(
                error,
                action=action,
                request_id=request_id,
                correlation_id=correlation_id,
                now_ms=self._desk.clock_ms(),
            )
        )
        if self._refusals.take(self._desk.clock()):
            self._flooding = True
            self.outlet.close_soon(FLOODING, "flooding")
