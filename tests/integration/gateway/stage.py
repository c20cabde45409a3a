"""A whole gateway for tests: real session service, real gRPC, scripted stations, real sockets."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.bus.in_process import InProcessBus
from babelcast.rpc.server import GrpcServer
from babelcast.transcription.v1 import transcription_pb2_grpc as stt_rpc
from babelcast.translation.v1 import translation_pb2_grpc as mt_rpc
from gateway.config import GatewayConfig
from gateway.desk import Desk
from gateway.rooms import Room
from gateway.server import Gateway, Issuers, Neighbours
from session_svc.config import SessionConfig
from session_svc.server import SessionServer
from tests.integration.gateway.client import PATIENCE_S, Client, Message
from tests.integration.gateway.stations import Hearing, ScriptedTranscription, ScriptedTranslation

POLL_S = 0.005


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that cannot be awaited."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - for what no event tells of
            await asyncio.sleep(POLL_S)


@dataclass(slots=True)
class Clock:
    """Seconds that pass when the test says so."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(slots=True)
class Talk:
    """A session with its speaker and its transcription stream."""

    speaker: Client
    created: Message
    hearing: Hearing

    @property
    def session_id(self) -> str:
        """The code."""
        return str(self.created["sessionId"])


@dataclass(slots=True)
class Stage:
    """Everything, running."""

    gateway: Gateway
    record: SessionServer
    record_config: SessionConfig
    transcription: ScriptedTranscription
    translation: ScriptedTranslation
    transcription_server: GrpcServer
    translation_server: GrpcServer
    issuer: LocalIssuer
    bus: InProcessBus
    clock: Clock
    clients: contextlib.AsyncExitStack

    @property
    def url(self) -> str:
        """Where the gateway is."""
        return f"ws://127.0.0.1:{self.gateway.port}"

    @property
    def desk(self) -> Desk:
        """The gateway's parts."""
        return self.gateway._desk

    def token(self, subject: str = "ana") -> str:
        """A good token."""
        return self.issuer.mint(subject)

    async def client(self, path: str = "/", *, token: str = "", **options: Any) -> Client:
        """A connection; closed at the end of the test."""
        client = await Client.open(f"{self.url}{path}", token=token, **options)
        self.clients.callback(client.socket.transport.abort)
        return client

    async def talk(self, subject: str = "ana", **wishes: object) -> Talk:
        """A new session."""
        speaker = await self.client(token=self.token(subject))
        created = await speaker.ask(
            "sessionCreated", **{"action": "createSession", "sourceLanguage": "en", **wishes}
        )
        return Talk(speaker, created, await self.transcription.opened())

    async def listener(self, talk: Talk, language: str = "es", **wishes: object) -> Client:
        """A listener who has joined, and of whom the session's owner knows."""
        client = await self.client()
        await client.ask(
            "sessionJoined",
            **{"action": "joinSession", "sessionId": talk.session_id, "targetLanguage": language, **wishes},
        )
        room = self.room(talk)
        await eventually(lambda: room.session.audience.languages.get(language, 0) > 0)
        return client

    def room(self, talk: Talk) -> Room:
        """What the gateway knows of a session."""
        return next(room for room in self.desk.rooms if room.session.session_id == talk.session_id)

    async def restart_record(self) -> None:
        """Stop the session service and start it again on its port."""
        await self.record.aclose()
        config = dataclasses.replace(self.record_config, session_bind=f"127.0.0.1:{self.record.port}")
        self.record = await SessionServer.start(config)


@contextlib.asynccontextmanager
async def staged(
    directory: Path,
    issuer: LocalIssuer,
    *,
    gateway: GatewayConfig | None = None,
    record: SessionConfig | None = None,
    neighbours: Neighbours | None = None,
    issuers: Issuers | None = None,
) -> AsyncIterator[Stage]:
    """Start everything; stop it the way a process does."""
    record_config = dataclasses.replace(
        record or SessionConfig(max_concurrent_streams_per_speaker=0),  # one token is many speakers
        session_bind="127.0.0.1:0",
        data_dir=str(directory),
        drain_seconds=0.0,
    )
    async with contextlib.AsyncExitStack() as stack:
        transcription, translation = ScriptedTranscription(), ScriptedTranslation()
        transcription_server = GrpcServer("127.0.0.1:0", services=[])
        stt_rpc.add_TranscriptionServiceServicer_to_server(transcription, transcription_server.server)
        translation_server = GrpcServer("127.0.0.1:0", services=[])
        mt_rpc.add_TranslationServiceServicer_to_server(translation, translation_server.server)
        await stack.enter_async_context(transcription_server)
        await stack.enter_async_context(translation_server)
        started = await SessionServer.start(record_config)
        bus = InProcessBus(retention_s=120, clock=time.monotonic)
        clock = Clock()
        config = dataclasses.replace(
            # tests move the clock at will; those about silence and age set their own limits
            gateway
            or GatewayConfig(drain_seconds=5, idle_timeout_seconds=10**6, heartbeat_timeout_seconds=10**6),
            port=0,
            session_target=f"127.0.0.1:{started.port}",
            transcription_target=f"127.0.0.1:{transcription_server.port}",
            translation_target=f"127.0.0.1:{translation_server.port}",
        )
        running = await Gateway.start(
            config, bus=bus, issuers=issuers or Issuers(local=issuer), neighbours=neighbours, clock=clock
        )
        stage = Stage(
            gateway=running,
            record=started,
            record_config=record_config,
            transcription=transcription,
            translation=translation,
            transcription_server=transcription_server,
            translation_server=translation_server,
            issuer=issuer,
            bus=bus,
            clock=clock,
            clients=contextlib.AsyncExitStack(),
        )
        try:
            async with stage.clients:
                yield stage
        finally:
            await running.aclose()
            await stage.record.aclose()
