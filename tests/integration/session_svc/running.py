"""A session service on any free port, and a client of it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
from rich.console import Console

from babelcast.bus.config import BusConfig
from babelcast.rpc.client import open_channel
from babelcast.session.v1 import session_pb2 as pb
from babelcast.session.v1 import session_pb2_grpc
from cli import tables
from session_svc.config import SessionConfig, StoreKind
from session_svc.server import SessionServer
from session_svc.store.dynamodb.tables import TableNames

TIMEOUT_S = 10.0


@dataclass
class Running:
    """A service, a channel to it, and its stub."""

    server: SessionServer
    channel: grpc.aio.Channel
    stub: "session_pb2_grpc.SessionServiceAsyncStub"

    async def created(
        self, connection_id: str = "speaker", request_id: str = "r1", speaker_id: str = "anna"
    ) -> pb.CreateSessionResponse:
        """A session."""
        request = pb.CreateSessionRequest(
            request_id=request_id,
            speaker_id=speaker_id,
            connection_id=connection_id,
            settings=pb.SessionSettings(source_language="en-US", partial_results=True),
        )
        return await self.stub.CreateSession(request, timeout=TIMEOUT_S)

    async def joined(
        self, code: str, connection_id: str = "listener", language: str = "es", token: str = ""
    ) -> pb.JoinSessionResponse:
        """A listener."""
        request = pb.JoinSessionRequest(
            session_id=code,
            connection_id=connection_id,
            target_language=language,
            client_address="192.0.2.7",
            resume_token=token,
        )
        return await self.stub.JoinSession(request, timeout=TIMEOUT_S)

    async def got(self, code: str) -> pb.Session:
        """A session as it stands."""
        return (await self.stub.GetSession(pb.GetSessionRequest(session_id=code), timeout=TIMEOUT_S)).session

    async def disconnected(self, connection_id: str) -> None:
        """A connection goes."""
        await self.stub.Disconnect(pb.DisconnectRequest(connection_id=connection_id), timeout=TIMEOUT_S)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[AsyncIterator[pb.WatchSessionsResponse]]:
        """The changes from now on."""
        call = self.stub.WatchSessions(pb.WatchSessionsRequest(), timeout=60)
        changes = aiter(call)
        assert (await anext(changes)).HasField("opened")
        yield changes
        call.cancel()


def config(data_dir: Path) -> SessionConfig:
    """The defaults, on any free port, stopping at once."""
    return SessionConfig(session_bind="127.0.0.1:0", data_dir=str(data_dir), drain_seconds=1)


async def on_tables(data_dir: Path, names: TableNames) -> SessionConfig:
    """The defaults, on tables that are made for it."""
    settings = replace(
        config(data_dir),
        session_store=StoreKind.DYNAMODB,
        aws_region="eu-west-1",
        sessions_table_name=names.sessions,
        connections_table_name=names.connections,
        rate_limits_table_name=names.rate_limits,
    )
    environ = {
        **os.environ,
        "SESSIONS_TABLE_NAME": names.sessions,
        "CONNECTIONS_TABLE_NAME": names.connections,
        "RATE_LIMITS_TABLE_NAME": names.rate_limits,
    }
    assert await tables.create(environ, [], Console(quiet=True)) == 0
    return settings


@asynccontextmanager
async def running(
    settings: SessionConfig, *, connections_lost: bool = False, bus_url: str = "", **changes: float
) -> AsyncIterator[Running]:
    """A service with some settings changed."""
    changed = replace(settings, **changes)  # type: ignore[arg-type]  # numbers all
    server = await SessionServer.start(
        changed, bus=BusConfig(bus_url=bus_url), connections_lost=connections_lost
    )
    async with open_channel(f"127.0.0.1:{server.port}") as channel:
        try:
            yield Running(server, channel, session_pb2_grpc.SessionServiceStub(channel))
        finally:
            await server.aclose()
