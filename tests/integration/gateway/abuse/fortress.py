"""A gateway as a process of its own under attack, and a talk that must not notice."""

import asyncio
import contextlib
import dataclasses
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.rpc.server import GrpcServer
from babelcast.transcription.v1 import transcription_pb2_grpc as stt_rpc
from babelcast.translation.v1 import translation_pb2_grpc as mt_rpc
from session_svc.config import SessionConfig
from session_svc.server import SessionServer
from tests.integration.gateway.abuse import attackers
from tests.integration.gateway.abuse.attackers import Wire
from tests.integration.gateway.client import CHUNK, Client
from tests.integration.gateway.fleet import GatewayProcess
from tests.integration.gateway.stage import Talk
from tests.integration.gateway.stations import ScriptedTranscription, ScriptedTranslation

EVERY_S = 0.02
AT_LEAST = 10
LATE_S = 5.0
"""A sentence that takes longer than this was held up, however busy the machine."""


@dataclass(slots=True)
class Calm:
    """How the talk went on meanwhile."""

    delays_s: list[float] = field(default_factory=list)
    """From a chunk of audio with its words to the listener, one for each sentence."""


@dataclass(slots=True)
class Fortress:
    """A gateway process, and the rest in this one."""

    process: GatewayProcess
    transcription: ScriptedTranscription
    issuer: LocalIssuer
    figures: Path | None
    attacker: str
    """The address of who attacks now."""

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self.process.port

    @property
    def memory_mb(self) -> float:
        """What it occupies."""
        status = Path(f"/proc/{self.process._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    @property
    def cpu_s(self) -> float:
        """What it has computed."""
        fields = Path(f"/proc/{self.process._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def files(self) -> int:
        """What it has open."""
        return len(os.listdir(f"/proc/{self.process._process.pid}/fd"))  # noqa: PTH208 - no paths are needed

    async def client(self, *, token: str = "", address: str = "127.0.0.1") -> Client:
        """Somebody well-behaved."""
        return await Client.open(self.process.url, token=token, local_addr=(address, 0))

    def wire(self) -> contextlib.AbstractAsyncContextManager[Wire]:
        """A connection of the attacker."""
        return attackers.wire(self.port, address=self.attacker)

    def socket(self) -> contextlib.AbstractAsyncContextManager[Wire]:
        """A WebSocket of the attacker."""
        return attackers.socket(self.port, address=self.attacker)

    async def talk(self) -> tuple[Talk, Client]:
        """A session with a listener of what is spoken."""
        speaker = await self.client(token=self.issuer.mint("ana"))
        created = await speaker.ask("sessionCreated", action="createSession", sourceLanguage="en")
        talk = Talk(speaker, created, await self.transcription.opened())
        listener = await self.client()
        await listener.ask(
            "sessionJoined", action="joinSession", sessionId=talk.session_id, targetLanguage="en"
        )
        return talk, listener

    @contextlib.asynccontextmanager
    async def undisturbed(self, what: str) -> AsyncIterator[Calm]:
        """A talk goes on for as long as the block lasts; each sentence comes, in order and in time."""
        talk, listener = await self.talk()
        calm, over = Calm(), asyncio.Event()
        before = self.memory_mb, self.cpu_s, time.monotonic()
        going = asyncio.create_task(_go_on(talk, listener, calm, over), name="talk")
        try:
            yield calm
        finally:
            over.set()
            await asyncio.wait([going])
            await talk.speaker.ask("sessionEnded", action="endSession")
            for client in (talk.speaker, listener):
                client.drop()
        going.result()
        assert calm.delays_s
        assert max(calm.delays_s) < LATE_S
        self._note(what, calm, before)

    def _note(self, what: str, calm: Calm, before: tuple[float, float, float]) -> None:
        if self.figures is None:
            return
        delays = sorted(calm.delays_s)
        figures = {
            "what": what,
            "seconds": round(time.monotonic() - before[2], 1),
            "sentences": len(delays),
            "median_ms": round(1000 * delays[len(delays) // 2], 1),
            "worst_ms": round(1000 * delays[-1], 1),
            "gateway_cpu_s": round(self.cpu_s - before[1], 2),
            "memory_mb": [round(before[0], 1), round(self.memory_mb, 1)],
        }
        with self.figures.open("a") as file:
            file.write(json.dumps(figures) + "\n")


async def _go_on(talk: Talk, listener: Client, calm: Calm, over: asyncio.Event) -> None:
    number = 0
    while not over.is_set() or number < AT_LEAST:
        began_s = time.monotonic()
        await talk.speaker.socket.send(CHUNK)
        await talk.hearing.heard((number + 1) * len(CHUNK))
        talk.hearing.final(number, f"Sentence {number}.")
        message = await listener.until("transcript", patience_s=LATE_S)
        assert message["text"] == f"Sentence {number}."
        calm.delays_s.append(time.monotonic() - began_s)
        number += 1
        await asyncio.sleep(EVERY_S)


@contextlib.asynccontextmanager
async def fortress(directory: Path, **environ: str) -> AsyncIterator[Fortress]:
    """Start everything; the gateway is killed in the end, if it still lives, as it must."""
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
        issuer = LocalIssuer.open(directory)
        settings = {
            "HOST": "127.0.0.1",
            "DATA_DIR": str(directory),
            "SESSION_TARGET": f"127.0.0.1:{record.port}",
            "TRANSCRIPTION_TARGET": f"127.0.0.1:{transcription_server.port}",
            "TRANSLATION_TARGET": f"127.0.0.1:{translation_server.port}",
            **environ,
        }
        log = directory / "gateway.log"
        process = GatewayProcess(settings, log=log)
        stack.callback(process.kill)
        await process.ready()
        figures = os.environ.get("ABUSE_FIGURES")
        yield Fortress(process, transcription, issuer, Path(figures) if figures else None, "127.0.0.66")
        assert process._process.poll() is None, "the gateway died"
        faults = [line for line in log.read_text().splitlines() if '"ERROR"' in line or "Traceback" in line]
        assert not faults, faults[0]
