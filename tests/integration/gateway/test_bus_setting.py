"""A gateway and its bus: the one of its settings, one that is away, one that is somebody else's."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from babelcast.bus.base import Topic
from babelcast.bus.nats.bus import NatsBus
from babelcast.errors import ServiceUnavailable
from gateway.__main__ import start
from gateway.composition import GatewayOnBus
from tests.integration.gateway.stage import Stage
from tests.nats_server import NatsServer

PATIENCE_S = 20.0


def readiness(port: int) -> int:
    """The status of /readyz."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as refusal:
        return refusal.code


async def becomes(port: int, status: int) -> None:
    """Wait until /readyz answers with a status."""
    async with asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(readiness, port) != status:  # noqa: ASYNC110 - it can only be asked
            await asyncio.sleep(0.05)


async def test_is_ready_while_there_is_a_bus(
    mortal_nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With BUS_URL a gateway is on NATS; without its servers for long it takes nobody, then again."""
    monkeypatch.setattr("babelcast.bus.nats.link.UNAVAILABLE_AFTER_S", 0.2)
    running = await start(
        {
            "BUS_URL": mortal_nats.url,
            "PORT": "0",
            "DATA_DIR": str(tmp_path / "data"),
            "DRAIN_LINGER_SECONDS": "0",
        }
    )
    try:
        assert isinstance(running, GatewayOnBus)
        assert isinstance(running.bus, NatsBus)
        await becomes(running.port, 200)
        mortal_nats.kill()
        await becomes(running.port, 503)
        mortal_nats.start()
        await becomes(running.port, 200)
    finally:
        await running.aclose()


async def test_an_owner_that_was_replaced_publishes_no_more(stage: Stage) -> None:
    """When another gateway has claimed the topic, this one's speaker is sent away and nobody hears twice."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    await stage.bus.claim(Topic(talk.session_id, "es"), epoch=2)
    talk.hearing.final(0, "Too late.")
    assert (await talk.speaker.closed())[0] == 1011
    await listener.fence()
    assert listener.all("translatedAudio") == []


async def test_draining_does_not_wait_for_a_bus_that_is_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping goes on without knowing what was published last."""
    talk = await stage.talk()
    listener = await stage.listener(talk)

    async def away(topic: Topic) -> int:
        raise ServiceUnavailable("The bus is out of reach.")

    monkeypatch.setattr(stage.bus, "last_sequence", away)
    await stage.gateway.aclose()
    assert (await listener.closed())[0] == 1001
