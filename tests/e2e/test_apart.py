"""The four services as four processes, as compose and Kubernetes run them."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast import wav
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.client import Listener, Speaker, Voice
from babelcast.protocol import server_messages as say

pytestmark = [pytest.mark.engines]

SPEECH = Path(__file__).parents[1] / "data" / "jfk.wav"
SERVICES = {
    "session_svc": "SESSION",
    "transcription_svc": "TRANSCRIPTION",
    "translation_svc": "TRANSLATION",
}


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def process(module: str, environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A service as a process; it must end with exit code 0 on SIGTERM."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, env={**os.environ, **environ}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield started
        started.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await started.wait() == 0, module
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def serving(target: str) -> None:
    """Wait until a gRPC server says that it serves."""
    async with grpc.aio.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        async with asyncio.timeout(60):
            async for answer in stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True):
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return


async def test_a_sentence_crosses_four_processes(tmp_path: Path) -> None:
    """A talk spoken to a gateway process is heard in Spanish through three service processes."""
    ports = {prefix: free_port() for prefix in SERVICES.values()}
    environ = {"DATA_DIR": str(tmp_path)} | {
        f"{prefix}_BIND": f"127.0.0.1:{port}" for prefix, port in ports.items()
    }
    gateway_port = free_port()
    targets = {f"{prefix}_TARGET": f"127.0.0.1:{port}" for prefix, port in ports.items()}
    async with contextlib.AsyncExitStack() as stack:
        for module in SERVICES:
            await stack.enter_async_context(process(module, environ))
        for target in targets.values():
            await serving(target)
        await stack.enter_async_context(process("gateway", {**environ, **targets, "PORT": str(gateway_port)}))
        token = LocalIssuer.open(tmp_path).mint("speaker")
        await _listening(gateway_port)
        spoken = await _talk(f"ws://127.0.0.1:{gateway_port}", token)
    assert [audio.sequence_number for audio in spoken] == list(range(1, len(spoken) + 1))
    assert "país" in " ".join(audio.transcript for audio in spoken)


async def _listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)


async def _talk(url: str, token: str) -> list[say.TranslatedAudio]:
    sound = wav.read(SPEECH)
    spoken: list[say.TranslatedAudio] = []
    async with await Speaker.connect(url, token=token) as speaker:
        session = await speaker.create_session("en")
        async with await Listener.connect(url) as listener:
            await listener.join(session.session_id, "es")

            async def hear() -> None:
                spoken.extend([event.message async for event in listener if isinstance(event, Voice)])

            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                group.create_task(hear())
                for start in range(0, len(sound.pcm), 3200):
                    await speaker.send_audio(sound.pcm[start : start + 3200])
                    await asyncio.sleep(0.1)
                await speaker.end()
    return spoken
