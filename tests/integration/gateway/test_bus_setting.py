"""A gateway alone on the bus of its settings."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from babelcast.bus.nats.bus import NatsBus
from gateway.__main__ import start
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
    running = await start({"BUS_URL": mortal_nats.url, "PORT": "0", "DATA_DIR": str(tmp_path / "data")})
    try:
        assert isinstance(running.bus, NatsBus)
        await becomes(running.gateway.port, 200)
        mortal_nats.kill()
        await becomes(running.gateway.port, 503)
        mortal_nats.start()
        await becomes(running.gateway.port, 200)
    finally:
        await running.aclose()
