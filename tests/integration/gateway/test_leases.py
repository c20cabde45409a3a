"""Gateways that die or sleep, as processes, seen from one that lives."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.errors import ServiceUnavailable
from session_svc.config import SessionConfig
from tests.integration.gateway.client import PATIENCE_S, Client
from tests.integration.gateway.stage import Stage, Talk, eventually, staged

LEASE_S = 2.0


@pytest.fixture
async def stage(tmp_path: Path, issuer: LocalIssuer) -> AsyncIterator[Stage]:
    """A gateway in working order, and short leases."""
    async with staged(tmp_path, issuer, record=SessionConfig(gateway_lease_seconds=LEASE_S)) as running:
        yield running


@dataclasses.dataclass
class Other:
    """Another gateway, in a process of its own."""

    process: asyncio.subprocess.Process
    url: str

    async def listener(self, talk: Talk, language: str, **fields: object) -> tuple[Client, str]:
        """Somebody who has joined there, and the secret to come back with."""
        client = await Client.open(self.url)
        joined = await client.ask(
            "sessionJoined",
            action="joinSession",
            sessionId=talk.session_id,
            targetLanguage=language,
            **fields,
        )
        return client, str(joined["resumeToken"])


@pytest.fixture
async def other(stage: Stage, tmp_path: Path) -> AsyncIterator[Other]:
    """A gateway process on the same services."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    config = stage.desk.config
    environ = {
        "PORT": str(port),
        "DATA_DIR": str(tmp_path),
        "SESSION_TARGET": config.session_target,
        "TRANSCRIPTION_TARGET": config.transcription_target,
        "TRANSLATION_TARGET": config.translation_target,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env={**os.environ, **environ}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield Other(process, f"ws://127.0.0.1:{port}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def heard_of(stage: Stage, talk: Talk, languages: dict[str, int]) -> None:
    """Wait until the speaker's gateway counts these listeners, and the record too."""
    room = stage.room(talk)
    await eventually(lambda: dict(room.session.audience.languages) == languages)
    session = await stage.desk.sessions.get(talk.session_id)
    assert dict(session.audience.languages) == languages


async def test_a_gateway_that_is_killed(stage: Stage, other: Other) -> None:
    """Its listeners are counted no longer, all others are; one comes back elsewhere and is counted again."""
    talk = await stage.talk()
    await stage.listener(talk, "es")
    _, token = await other.listener(talk, "es")
    await other.listener(talk, "fr")
    await heard_of(stage, talk, {"es": 2, "fr": 1})
    other.process.kill()
    await heard_of(stage, talk, {"es": 1})
    await stage.listener(talk, "es", resumeToken=token, lastSequenceNumber=0)
    await heard_of(stage, talk, {"es": 2})


async def test_a_gateway_that_sleeps(stage: Stage, other: Other) -> None:
    """When it wakes up it learns that it was taken for gone, and its clients come back with their tokens."""
    talk = await stage.talk()
    client, token = await other.listener(talk, "fr")
    await heard_of(stage, talk, {"fr": 1})
    other.process.send_signal(signal.SIGSTOP)
    await heard_of(stage, talk, {})
    other.process.send_signal(signal.SIGCONT)
    code, _ = await client.closed()
    assert code == 1001
    async with asyncio.timeout(PATIENCE_S):
        await other.listener(talk, "fr", resumeToken=token, lastSequenceNumber=0)
    await heard_of(stage, talk, {"fr": 1})


async def test_the_record_restarts(stage: Stage) -> None:
    """While the session service is away leases run out, and nobody loses a seat for it."""
    talk = await stage.talk()
    listener = await stage.listener(talk, "es")
    record = stage.record
    await record.aclose()
    await asyncio.sleep(LEASE_S)
    config = dataclasses.replace(stage.record_config, session_bind=f"127.0.0.1:{record.port}")
    stage.record = await type(record).start(config)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(ServiceUnavailable):  # until the gateway has found it again
                assert (await stage.desk.sessions.renew_lease()).held
                break
    await listener.fence()
    await heard_of(stage, talk, {"es": 1})
