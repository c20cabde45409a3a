"""Several gateways as processes of their own, on one NATS server, with scripted stations in the test."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.rpc.server import GrpcServer
from babelcast.transcription.v1 import transcription_pb2_grpc as stt_rpc
from babelcast.translation.v1 import translation_pb2_grpc as mt_rpc
from session_svc.config import SessionConfig
from session_svc.server import SessionServer
from tests.integration.gateway.client import Client, Message
from tests.integration.gateway.stage import Talk
from tests.integration.gateway.stations import Hearing, ScriptedTranscription, ScriptedTranslation
from tests.nats_server import NatsServer, free_port

START_S = 30.0


class GatewayProcess:
    """One gateway, which can die or sleep."""

    def __init__(self, environ: Mapping[str, str], *, log: Path) -> None:
        self.port = free_port()
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                env={**os.environ, **environ, "PORT": str(self.port)},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    @property
    def url(self) -> str:
        """Where it is."""
        return f"ws://127.0.0.1:{self.port}/"

    async def ready(self) -> None:
        """Wait until it takes clients."""
        async with asyncio.timeout(START_S):
            while not await asyncio.to_thread(self._is_ready):  # noqa: ASYNC110 - it can only be asked
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """As kill -9 does; idempotent."""
        self._process.kill()
        self._process.wait()

    def sleep(self) -> None:
        """Stand still, with all connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Go on."""
        self._process.send_signal(signal.SIGCONT)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@dataclass(slots=True)
class Fleet:
    """Everything, running."""

    gateways: list[GatewayProcess]
    transcription: ScriptedTranscription
    translation: ScriptedTranslation
    issuer: LocalIssuer
    clients: contextlib.AsyncExitStack

    async def client(self, gateway: int, *, token: str = "") -> Client:
        """A connection to one of the gateways."""
        client = await Client.open(self.gateways[gateway].url, token=token)
        self.clients.callback(client.socket.transport.abort)
        return client

    async def talk(self, gateway: int = 0, **wishes: object) -> Talk:
        """A new session."""
        speaker = await self.client(gateway, token=self.issuer.mint("ana"))
        created = await speaker.ask(
            "sessionCreated", **{"action": "createSession", "sourceLanguage": "en", **wishes}
        )
        return Talk(speaker, created, await self.transcription.opened())

    async def listener(self, talk: Talk, gateway: int, language: str = "es", **wishes: object) -> Client:
        """A listener who has joined, and of whom the speaker's gateway knows."""
        client = await self.client(gateway)
        await client.ask(
            "sessionJoined",
            **{"action": "joinSession", "sessionId": talk.session_id, "targetLanguage": language, **wishes},
        )
        await talk.speaker.until(
            "sessionStatus", where=lambda m: m["languageDistribution"].get(language, 0) > 0
        )
        return client

    async def come_back(self, talk: Talk, gateway: int) -> Message:
        """The speaker takes the talk over on another connection; the answer."""
        talk.speaker = await self.client(gateway)
        complete = await talk.speaker.ask(
            "connectionRefreshComplete",
            action="refreshConnection",
            sessionId=talk.session_id,
            resumeToken=talk.created["resumeToken"],
        )
        talk.created["resumeToken"] = complete["resumeToken"]
        return complete

    async def opened(self, talk: Talk) -> Hearing:
        """The talk's next transcription stream."""
        talk.hearing = await self.transcription.opened()
        return talk.hearing


@contextlib.asynccontextmanager
async def fleet_of(count: int, directory: Path, nats: NatsServer, **environ: str) -> AsyncIterator[Fleet]:
    """Start everything; gateways are killed in the end."""
    record_config = dataclasses.replace(
        SessionConfig(max_concurrent_streams_per_speaker=0),
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
        record = await SessionServer.start(record_config)
        stack.push_async_callback(record.aclose)
        settings = {
            "BUS_URL": nats.url,
            "HOST": "127.0.0.1",
            "DATA_DIR": str(directory),
            "SESSION_TARGET": f"127.0.0.1:{record.port}",
            "TRANSCRIPTION_TARGET": f"127.0.0.1:{transcription_server.port}",
            "TRANSLATION_TARGET": f"127.0.0.1:{translation_server.port}",
            "STATUS_INTERVAL_SECONDS": "1",
            **environ,
        }
        issuer = LocalIssuer.open(directory)
        gateways = []
        for number in range(count):
            gateways.append(GatewayProcess(settings, log=directory / f"gateway-{number}.log"))
            stack.callback(gateways[-1].kill)
        await asyncio.gather(*(gateway.ready() for gateway in gateways))
        fleet = Fleet(gateways, transcription, translation, issuer, contextlib.AsyncExitStack())
        async with fleet.clients:
            yield fleet
