"""The session service as the gateway asks it: unary calls with deadlines, and one watch for all changes."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc

from babelcast.errors import BabelcastError
from babelcast.rpc.timing import called
from babelcast.session.v1 import session_pb2 as api
from babelcast.session.v1.session_pb2_grpc import SessionServiceStub
from babelcast.telemetry.tracing import metadata

if TYPE_CHECKING:  # the asynchronous stub exists in the type stubs only
    from babelcast.session.v1.session_pb2_grpc import SessionServiceAsyncStub

SERVICE = "babelcast.session.v1.SessionService"
# every other call may be sent again without changing anything twice; Refresh and Change move state
IDEMPOTENT = (
    "CreateSession",
    "JoinSession",
    "UpdateBroadcast",
    "GetSession",
    "EndSession",
    "Disconnect",
    "RenewLease",
    "ListSessions",
    "CloseSession",
)
DEADLINE_S = 5.0
WATCH_BACKOFF_S = 0.5

log = logging.getLogger(__name__)


class Sessions:
    """Typed calls; every one raises BabelcastError, ServiceUnavailable when the service is not reached."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: SessionServiceAsyncStub = SessionServiceStub(channel)
        self._gateway_id = ""
        self.begin_lease()

    def begin_lease(self) -> None:
        """Let connections from now on depend on a new lease."""
        self._gateway_id = secrets.token_urlsafe(12)

    async def renew_lease(self) -> api.RenewLeaseResponse:
        """Say that this gateway is alive."""
        request = api.RenewLeaseRequest(gateway_id=self._gateway_id)
        with called("SessionService/RenewLease"):
            return await self._stub.RenewLease(request, timeout=DEADLINE_S)

    async def create(self, request: api.CreateSessionRequest) -> api.CreateSessionResponse:
        """Make a session."""
        request.gateway_id = self._gateway_id
        with called("SessionService/CreateSession"):
            return await self._stub.CreateSession(request, timeout=DEADLINE_S, metadata=metadata())

    async def join(self, request: api.JoinSessionRequest) -> api.JoinSessionResponse:
        """Take a seat."""
        request.gateway_id = self._gateway_id
        with called("SessionService/JoinSession"):
            return await self._stub.JoinSession(request, timeout=DEADLINE_S, metadata=metadata())

    async def refresh(self, request: api.RefreshConnectionRequest) -> api.RefreshConnectionResponse:
        """Take a role over."""
        request.gateway_id = self._gateway_id
        with called("SessionService/RefreshConnection"):
            return await self._stub.RefreshConnection(request, timeout=DEADLINE_S, metadata=metadata())

    async def change_language(self, connection_id: str, language: str) -> api.Session:
        """Move a listener."""
        request = api.ChangeLanguageRequest(connection_id=connection_id, target_language=language)
        with called("SessionService/ChangeLanguage"):
            return (await self._stub.ChangeLanguage(request, timeout=DEADLINE_S, metadata=metadata())).session

    async def update_broadcast(self, request: api.UpdateBroadcastRequest) -> api.Session:
        """Change the speaker's controls."""
        with called("SessionService/UpdateBroadcast"):
            return (
                await self._stub.UpdateBroadcast(request, timeout=DEADLINE_S, metadata=metadata())
            ).session

    async def get(self, session_id: str) -> api.Session:
        """Read a session."""
        with called("SessionService/GetSession"):
            request = api.GetSessionRequest(session_id=session_id)
            return (await self._stub.GetSession(request, timeout=DEADLINE_S, metadata=metadata())).session

    async def end(self, session_id: str, *, connection_id: str, reason: str) -> api.Session:
        """End a session."""
        request = api.EndSessionRequest(session_id=session_id, connection_id=connection_id, reason=reason)
        with called("SessionService/EndSession"):
            return (await self._stub.EndSession(request, timeout=DEADLINE_S, metadata=metadata())).session

    async def page(self, page_token: str, *, size: int) -> api.ListSessionsResponse:
        """Some of all sessions that are on."""
        request = api.ListSessionsRequest(page_size=size, page_token=page_token)
        with called("SessionService/ListSessions"):
            return await self._stub.ListSessions(request, timeout=DEADLINE_S, metadata=metadata())

    async def close(self, session_id: str, *, reason: str) -> api.Session:
        """End a session, whoever speaks."""
        request = api.CloseSessionRequest(session_id=session_id, reason=reason)
        with called("SessionService/CloseSession"):
            return (await self._stub.CloseSession(request, timeout=DEADLINE_S, metadata=metadata())).session

    async def disconnect(self, connection_id: str) -> None:
        """Say that a connection is gone."""
        with called("SessionService/Disconnect"):
            await self._stub.Disconnect(
                api.DisconnectRequest(connection_id=connection_id), timeout=DEADLINE_S, metadata=metadata()
            )

    async def watch(
        self,
        *,
        on_open: Callable[[], Awaitable[None]],
        on_change: Callable[[api.WatchSessionsResponse], Awaitable[None]],
    ) -> None:
        """Follow all changes until cancelled; the watch is reopened when it breaks.

        `on_open` runs after each opening: changes before it were not seen, so it reads what is held.
        """
        while True:
            try:
                with called("SessionService/WatchSessions"):
                    async for change in self._stub.WatchSessions(
                        api.WatchSessionsRequest(), wait_for_ready=True
                    ):
                        if change.HasField("opened"):
                            await on_open()
                        else:
                            await on_change(change)
            except BabelcastError as error:
                log.warning("watch of sessions broke", extra={"code": error.code})
            await asyncio.sleep(WATCH_BACKOFF_S)
