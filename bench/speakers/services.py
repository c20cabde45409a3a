"""The services as processes of their own: the gateway with its probe, the others with scripted engines."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import msgspec
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.auth.local_issuer import LocalIssuer
from bench.speakers.probe import Passages
from cli.engines import Engines, chosen

READY_S = 60.0
STOP_S = 40.0
SERVICES = {"session_svc": "SESSION", "transcription_svc": "TRANSCRIPTION", "translation_svc": "TRANSLATION"}
GATEWAY = "bench.speakers.gateway"


@dataclass(frozen=True, slots=True)
class Running:
    """The system under load."""

    url: str
    issuer: LocalIssuer
    processes: Mapping[str, Process]
    file: Path

    def cpu_s(self) -> dict[str, float]:
        """What each process has used so far, s."""
        return {name: _cpu_s(process.pid) for name, process in self.processes.items()}

    def begin(self) -> None:
        """Let the gateway's probe begin."""
        self.processes[GATEWAY].send_signal(signal.SIGUSR1)

    async def end(self) -> Passages:
        """End the measurement; what the probe found."""
        self.processes[GATEWAY].send_signal(signal.SIGUSR1)
        async with asyncio.timeout(READY_S):
            while not self.file.exists():  # noqa: ASYNC110 - the other process has no better way to tell
                await asyncio.sleep(0.1)
        return msgspec.json.decode(self.file.read_bytes(), type=Passages)


@contextlib.asynccontextmanager
async def running(folder: Path, *, pinned: bool) -> AsyncIterator[Running]:
    """Start all, wait until they serve, and stop them at the end. `pinned` keeps the last core for the
    gateway.

    Raises: TimeoutError when one does not become ready.
    """
    ports = {prefix: _free_port() for prefix in SERVICES.values()}
    gateway_port = _free_port()
    file = folder / "passages.json"
    environ = {
        **chosen(Engines.SCRIPTED, os.environ),
        "DATA_DIR": str(folder),
        "PORT": str(gateway_port),
        "MAX_CONCURRENT_STREAMS_PER_SPEAKER": "0",
        "RATE_LIMIT_SESSIONS_PER_HOUR": "100000",
        "RATE_LIMIT_LISTENER_JOINS_PER_MIN": "100000",
        "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": "100000",
        "LOG_LEVEL": "WARNING",
        **{f"{prefix}_BIND": f"127.0.0.1:{port}" for prefix, port in ports.items()},
        **{f"{prefix}_TARGET": f"127.0.0.1:{port}" for prefix, port in ports.items()},
    }
    cores = sorted(os.sched_getaffinity(0))
    if pinned and len(cores) > 1:
        os.sched_setaffinity(0, set(cores[:-1]))
        environ["BENCH_CORES"] = str(cores[-1])
    async with contextlib.AsyncExitStack() as stack:
        processes = {}
        for module in SERVICES:
            processes[module] = await stack.enter_async_context(_process((module,), environ))
        for port in ports.values():
            await _serving(f"127.0.0.1:{port}")
        gateway = await stack.enter_async_context(_process((GATEWAY, str(file)), environ))
        await _listens(gateway_port)
        url = f"ws://127.0.0.1:{gateway_port}"
        yield Running(url, LocalIssuer.open(folder), {**processes, GATEWAY: gateway}, file)


@contextlib.asynccontextmanager
async def _process(words: Sequence[str], environ: Mapping[str, str]) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *words, env=environ)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _serving(target: str) -> None:
    async with grpc.aio.insecure_channel(target) as channel, asyncio.timeout(READY_S):
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), wait_for_ready=True
        )
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


async def _listens(port: int) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
