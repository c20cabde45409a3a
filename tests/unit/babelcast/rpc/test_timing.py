"""How calls are timed, on both sides of a real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.errors import BabelcastError, ServiceUnavailable, SessionNotFound
from babelcast.rpc import served
from babelcast.rpc.client import open_channel
from babelcast.rpc.server import GrpcServer
from babelcast.rpc.timing import Conversation, called
from babelcast.session.v1 import session_pb2 as api
from babelcast.session.v1 import session_pb2_grpc
from tests.measured import Measured

if TYPE_CHECKING:  # the asynchronous stub exists in the type stubs only
    from babelcast.session.v1.session_pb2_grpc import SessionServiceAsyncStub

SERVED, CALLED = "babelcast.rpc.server.duration", "babelcast.rpc.client.duration"
GET, WATCH = "SessionService/GetSession", "SessionService/WatchSessions"


class Sessions(session_pb2_grpc.SessionServiceServicer):
    """Answers by the code that is asked for."""

    def __init__(self) -> None:
        self.watching = asyncio.Event()

    async def GetSession(self, request: api.GetSessionRequest, context: object) -> api.GetSessionResponse:  # noqa: N802
        if request.session_id == "none":
            raise SessionNotFound("none")
        if request.session_id == "defect":
            raise ValueError
        return api.GetSessionResponse()

    async def WatchSessions(  # noqa: N802
        self, request: api.WatchSessionsRequest, context: object
    ) -> AsyncIterator[api.WatchSessionsResponse]:
        yield api.WatchSessionsResponse()
        self.watching.set()
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def serving() -> "AsyncIterator[tuple[SessionServiceAsyncStub, grpc.aio.Channel, Sessions]]":
    """A client of a real server."""
    server = GrpcServer("127.0.0.1:0", services=["babelcast.session.v1.SessionService"])
    sessions = Sessions()  # type: ignore[abstract]  # the other methods are not asked for
    session_pb2_grpc.add_SessionServiceServicer_to_server(sessions, server.server)
    async with server, open_channel(f"127.0.0.1:{server.port}") as channel:
        stub: SessionServiceAsyncStub = session_pb2_grpc.SessionServiceStub(channel)
        yield stub, channel, sessions


async def test_both_sides_tell_how_calls_end(measured: Measured) -> None:
    """By the status that a domain error travels under; a defect is INTERNAL."""
    async with serving() as (stub, _, _):
        for session_id in ("some", "none", "defect"):
            with contextlib.suppress(BabelcastError), called(GET):
                await stub.GetSession(api.GetSessionRequest(session_id=session_id))
    for name in (SERVED, CALLED):
        for status in ("OK", "NOT_FOUND", "INTERNAL"):
            assert measured.times(name, method=GET, code=status) == 1, (name, status)


async def test_a_stream_that_is_given_up_is_cancelled(measured: Measured) -> None:
    """On both sides, and it is as long as it lasted."""
    async with serving() as (stub, _, sessions):

        async def watch() -> None:
            with called(WATCH):
                async for _ in stub.WatchSessions(api.WatchSessionsRequest()):
                    pass

        watching = asyncio.create_task(watch())
        await sessions.watching.wait()
        watching.cancel()
        await asyncio.wait([watching])
    assert measured.times(CALLED, method=WATCH, code="CANCELLED") == 1
    assert measured.times(SERVED, method=WATCH, code="CANCELLED") == 1


async def test_who_is_not_there_is_unavailable(measured: Measured) -> None:
    """A call that reaches nobody is timed by its caller."""
    async with open_channel("127.0.0.1:1") as channel:
        stub: SessionServiceAsyncStub = session_pb2_grpc.SessionServiceStub(channel)
        with pytest.raises(ServiceUnavailable), called(GET):
            await stub.GetSession(api.GetSessionRequest(), timeout=5)
    assert measured.times(CALLED, method=GET, code="UNAVAILABLE") == 1


async def test_health_is_not_timed(measured: Measured) -> None:
    """Probes ask all the time, and say nothing of the work."""
    async with serving() as (_, channel, _):
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert measured.times(SERVED) == 0


def test_a_conversation_ends_once(measured: Measured) -> None:
    """What is said first counts."""
    conversation = Conversation("A/B")
    conversation.over(grpc.StatusCode.OK)
    conversation.over(grpc.StatusCode.CANCELLED)
    assert measured.times(CALLED, method="A/B") == 1
    assert measured.times(CALLED, method="A/B", code="OK") == 1


@pytest.mark.parametrize(
    ("code", "name"),
    [(None, "OK"), (0, "OK"), (14, "UNAVAILABLE"), (grpc.StatusCode.NOT_FOUND, "NOT_FOUND"), (99, "UNKNOWN")],
)
def test_statuses_have_names(code: grpc.StatusCode | int | None, name: str) -> None:
    """However grpc tells them."""
    assert served.status_of(code) == name
