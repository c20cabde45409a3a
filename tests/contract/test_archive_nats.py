"""What the archive on NATS does when servers die and gateways restart, with real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import nats
import pytest

from babelcast.archive import nats as nats_archive
from babelcast.archive.base import Entry, Talk
from babelcast.archive.config import ArchiveConfig
from babelcast.archive.in_process import SILENT_S
from babelcast.archive.nats import NatsArchive
from babelcast.archive.opening import open_archive
from babelcast.bus.config import BusConfig
from babelcast.clock import wall_clock_ms
from babelcast.errors import ServiceUnavailable
from tests.nats_server import NatsServer

TALK = Talk("golden-eagle-427", 1_000, "en")
PATIENCE_S = 40.0


def entry(segment: int) -> Entry:
    """A text."""
    return Entry(segment, 0, f"text {segment}", 1000 * segment, 1000 * segment + 900, 5_000)


@asynccontextmanager
async def on(url: str, *, clock_ms: Callable[[], int] = wall_clock_ms) -> AsyncIterator[NatsArchive]:
    """A gateway's archive."""
    archive = await NatsArchive.open(BusConfig(bus_url=url), ArchiveConfig(1), clock_ms=clock_ms)
    try:
        yield archive
    finally:
        await archive.aclose()


async def stored(url: str) -> int:
    """How many messages the stream has."""
    client = await nats.connect(url)
    try:
        return int((await client.jetstream().stream_info(nats_archive.STREAM)).state.messages)
    finally:
        await client.close()


async def test_a_restarted_gateway_finds_all(mortal_nats: NatsServer) -> None:
    """What one process kept another one reads, also after the server was killed."""
    async with on(mortal_nats.url) as one:
        for segment in range(20):
            one.append(TALK, "es", entry(segment))
    mortal_nats.kill()
    mortal_nats.start()
    async with on(mortal_nats.url) as other:
        assert await other.read(TALK, "es") == [entry(segment) for segment in range(20)]


async def test_an_outage_delays(mortal_nats: NatsServer) -> None:
    """What is appended while the server is away for 20 s is kept once when it is back, in order; reading says
    that it cannot be done.
    """
    async with on(mortal_nats.url) as archive, asyncio.timeout(PATIENCE_S + 40):
        archive.append(TALK, "es", entry(0))
        await archive.flushed()
        mortal_nats.kill()
        for segment in range(1, 50):
            archive.append(TALK, "es", entry(segment))
            await asyncio.sleep(0.4)
        with pytest.raises(ServiceUnavailable):
            await archive.read(TALK, "es")
        mortal_nats.start()
        await archive.flushed()
        assert await archive.read(TALK, "es") == [entry(segment) for segment in range(50)]
    assert await stored(mortal_nats.url) == 50


async def test_doubles_are_not_stored(mortal_nats: NatsServer) -> None:
    """Two gateways that append the same texts store them once."""
    async with on(mortal_nats.url) as one, on(mortal_nats.url) as other:
        for archive in (one, other):
            for segment in range(10):
                archive.append(TALK, "es", entry(segment))
            await archive.flushed()
    assert await stored(mortal_nats.url) == 10


async def test_what_is_over_is_cleared_away(mortal_nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some time after the end nothing of a talk is on the server; a talk that is on stays."""
    monkeypatch.setattr(nats_archive, "SWEEPS", 600)
    monkeypatch.setattr(nats_archive, "SWEEP_AT_LEAST_S", 0.1)
    added_ms = 0
    async with on(mortal_nats.url, clock_ms=lambda: wall_clock_ms() + added_ms) as archive:
        archive.append(TALK, "es", entry(1))
        archive.append(Talk("quiet-river-815", 1, "en"), "es", entry(1))
        archive.end(TALK, at_ms=wall_clock_ms())
        await archive.flushed()
        assert await stored(mortal_nats.url) == 3
        added_ms = 61_000
        async with asyncio.timeout(PATIENCE_S):
            while await stored(mortal_nats.url) != 1:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.05)


async def test_a_stream_that_was_deleted_is_made_again(mortal_nats: NatsServer) -> None:
    """Text goes on being kept when somebody removes the stream under way."""
    async with on(mortal_nats.url) as archive, asyncio.timeout(PATIENCE_S):
        client = await nats.connect(mortal_nats.url)
        await client.jetstream().delete_stream(nats_archive.STREAM)
        await client.close()
        archive.append(TALK, "es", entry(1))
        await archive.flushed()
        assert await archive.read(TALK, "es") == [entry(1)]


async def test_limits_that_change_are_taken_over(mortal_nats: NatsServer) -> None:
    """A gateway with another retention changes the stream that is there."""
    config = BusConfig(bus_url=mortal_nats.url)
    for minutes in (1, 2):
        archive = await open_archive(config, ArchiveConfig(minutes), clock_ms=wall_clock_ms)
        assert archive.retention_s == 60 * minutes
        await archive.aclose()
    client = await nats.connect(mortal_nats.url)
    info = await client.jetstream().stream_info(nats_archive.STREAM)
    assert info.config.max_age == SILENT_S + 120
    await client.close()


async def test_too_much_that_waits_goes_oldest_first(
    mortal_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server is away no more than so many texts wait."""
    monkeypatch.setattr(nats_archive, "MAX_WAITING", 5)
    async with on(mortal_nats.url) as archive, asyncio.timeout(PATIENCE_S):
        mortal_nats.kill()
        for segment in range(8):
            archive.append(TALK, "es", entry(segment))
        mortal_nats.start()
        await archive.flushed()
        kept = [one.segment for one in await archive.read(TALK, "es")]
    assert kept[-5:] == [3, 4, 5, 6, 7]
    assert len(kept) <= 6
