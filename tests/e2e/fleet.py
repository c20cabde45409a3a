"""Every service as processes of its own, most of them twice, with scripted engines and a real NATS server."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.auth.local_issuer import LocalIssuer
from tests.nats_server import free_port

LOOPBACK = "127.0.0.1"
START_S = 120.0
STOP_S = 60.0
BIND = {
    "session_svc": "SESSION_BIND",
    "transcription_svc": "TRANSCRIPTION_BIND",
    "translation_svc": "TRANSLATION_BIND",
}
SCRIPTED = {"TRANSCRIPTION_ENGINE": "scripted", "TRANSLATION_ENGINE": "scripted", "VOICE_ENGINE": "scripted"}


@dataclass(slots=True)
class Member:
    """One process of a service, which keeps its port when it is started again."""

    module: str
    port: int
    environ: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, and wait until it serves."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.module), env=self.environ, stderr=log
            )
        async with asyncio.timeout(START_S):
            await (_answers(self.port) if self.module == "gateway" else _serves(self.port))

    async def stop(self) -> None:
        """SIGTERM, and wait for its orderly end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_S):
            code = await self.process.wait()
        assert code == 0, (self.module, code)

    async def restart(self) -> None:
        """Stop and start."""
        await self.stop()
        await self.start()

    async def kill(self) -> None:
        """End it however it stands."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def pause(self) -> None:
        """Let it do nothing at all, as a machine that hangs."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on as if nothing had been."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def last_words(self, lines: int) -> str:
        """The end of its log."""
        written = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"--- {self.module} on {self.port}", *written[-lines:]])


@dataclass(slots=True)
class Fleet:
    """All processes."""

    data_dir: Path
    members: list[Member] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        """The gateways."""
        return [f"ws://{LOOPBACK}:{member.port}" for member in self.of("gateway")]

    @property
    def token(self) -> str:
        """A speaker's."""
        return LocalIssuer.open(self.data_dir).mint("speaker")

    def of(self, module: str) -> Sequence[Member]:
        """The processes of a service."""
        return [member for member in self.members if member.module == module]


@contextlib.asynccontextmanager
async def running(
    directory: Path,
    *,
    bus_url: str,
    session_services: int = 1,
    stations: int = 2,
    gateways: Sequence[Mapping[str, str]] = ({}, {}),
    **settings: str,
) -> AsyncIterator[Fleet]:
    """Start everything, as many of transcription and of translation as `stations` says, and a gateway for
    each of `gateways` with these settings of its own; at the end everything is gone.
    """
    places = {
        "session_svc": session_services,
        "transcription_svc": stations,
        "translation_svc": stations,
        "gateway": len(gateways),
    }
    ports = {module: [free_port() for _ in range(count)] for module, count in places.items()}
    environ = {
        **{key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ},
        **SCRIPTED,
        "BUS_URL": bus_url,
        "DATA_DIR": str(directory),
        "SESSION_TARGET": _target(ports["session_svc"]),
        "TRANSCRIPTION_TARGET": _target(ports["transcription_svc"]),
        "TRANSLATION_TARGET": _target(ports["translation_svc"]),
        **settings,
    }
    fleet = Fleet(directory)
    LocalIssuer.open(directory)
    for module, its_ports in ports.items():
        for place, port in enumerate(its_ports):
            where = {BIND[module]: f"{LOOPBACK}:{port}"} if module in BIND else {"PORT": str(port)}
            if module == "gateway":
                where |= gateways[place]
            log = directory / f"{module}-{port}.log"
            fleet.members.append(Member(module, port, {**environ, **where}, log))
    try:
        async with asyncio.TaskGroup() as group:
            for member in fleet.members:
                group.create_task(member.start())
        yield fleet
    finally:
        for member in fleet.members:
            await member.kill()


def _target(ports: Sequence[int]) -> str:
    return "ipv4:" + ",".join(f"{LOOPBACK}:{port}" for port in ports)


async def _serves(port: int) -> None:
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for answer in stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True):
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
            await asyncio.sleep(0.05)


async def _answers(port: int) -> None:
    while True:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
            return
        await asyncio.sleep(0.05)
