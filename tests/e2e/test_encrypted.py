"""Four processes with TLS at the gateway and mutual TLS between them, as on a network that nobody trusts."""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast import scripted
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.wav import Sound
from bench.talk import hold
from tests.certificates import Authority
from tests.e2e.served import environment
from tests.nats_server import free_port

SERVICES = ("session", "transcription", "translation")
ENGINES = {"TRANSCRIPTION_ENGINE": "scripted", "TRANSLATION_ENGINE": "scripted", "VOICE_ENGINE": "scripted"}
START_S = 60.0
SENTENCES = 2


async def _serves(port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health: health_pb2_grpc.HealthAsyncStub = health_pb2_grpc.HealthStub(channel)
        async for answer in health.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


async def _talk(url: str, token: str) -> None:
    """Somebody speaks, somebody reads, and nothing is missing."""
    talk = await hold(
        url,
        token=token,
        speech=Sound(scripted.script_speech(7, SENTENCES), SAMPLE_RATE_HZ),
        source_language="en",
        target_languages=["es"],
    )
    assert talk.problems == []
    assert [transcript.text for transcript in talk.finals()] == [
        scripted.sentence(7, number) for number in range(SENTENCES)
    ]


async def test_a_talk_through_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after every certificate was exchanged; without one nobody is served."""
    authority = Authority.make()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))  # what this process trusts

    def sign_all() -> None:
        for name in ("gateway", *SERVICES):
            authority.sign(name, "localhost", "127.0.0.1").write(tmp_path / name, ca=authority.pem)

    sign_all()
    ports = {name: free_port() for name in ("gateway", *SERVICES)}
    probes = {name: free_port() for name in SERVICES}
    async with contextlib.AsyncExitStack() as stack:

        async def start(module: str, name: str, **settings: str) -> None:
            files = tmp_path / name
            tls = {"GRPC_TLS_CA": "ca", "GRPC_TLS_CERT": "cert", "GRPC_TLS_KEY": "key"}
            own = {key: str(files / f"{what}.pem") for key, what in tls.items()}
            log = stack.enter_context((tmp_path / f"{name}.log").open("w"))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module),
                env=environment(DATA_DIR=str(tmp_path / "data"), **ENGINES, **own, **settings),
                stderr=log,
            )
            stack.push_async_callback(_stop, process)

        for name in SERVICES:
            await start(
                f"{name}_svc",
                name,
                **{f"{name.upper()}_BIND": f"127.0.0.1:{ports[name]}"},
                HEALTH_BIND=f"127.0.0.1:{probes[name]}",
            )
        async with asyncio.timeout(START_S):
            await asyncio.gather(*map(_serves, probes.values()))
        await start(
            "gateway",
            "gateway",
            PORT=str(ports["gateway"]),
            TLS_CERT=str(tmp_path / "gateway" / "cert.pem"),
            TLS_KEY=str(tmp_path / "gateway" / "key.pem"),
            **{f"{name.upper()}_TARGET": f"localhost:{ports[name]}" for name in SERVICES},
        )
        url = f"wss://localhost:{ports['gateway']}"
        async with asyncio.timeout(START_S):
            shown = await _shown(ports["gateway"])
        token = LocalIssuer.open(tmp_path / "data").mint("ana")
        await _talk(url, token)
        sign_all()
        async with asyncio.timeout(START_S):
            while await _shown(ports["gateway"]) == shown:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.2)
        await _talk(url, token)
        for name in SERVICES:
            async with grpc.aio.insecure_channel(f"localhost:{ports[name]}") as channel:
                health: health_pb2_grpc.HealthAsyncStub = health_pb2_grpc.HealthStub(channel)
                with pytest.raises(grpc.aio.AioRpcError):
                    await health.Check(health_pb2.HealthCheckRequest(), timeout=5)


async def _shown(port: int) -> bytes:
    """The certificate of the gateway, once it listens."""
    context = ssl.create_default_context()
    while True:
        try:
            _, writer = await asyncio.open_connection("localhost", port, ssl=context)
        except ConnectionError:
            await asyncio.sleep(0.1)
            continue
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return bytes(certificate)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        os.kill(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(40):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
