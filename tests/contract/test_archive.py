"""What every archive does, whatever carries it. A new adapter adds its rig to RIGS."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import nats
import pytest

from babelcast.archive import nats as nats_archive
from babelcast.archive.base import Archive, Entry, Talk
from babelcast.archive.config import ArchiveConfig
from babelcast.archive.in_process import InProcessArchive
from babelcast.archive.nats import NatsArchive
from babelcast.bus.config import BusConfig
from babelcast.clock import wall_clock_ms
from tests.nats_server import NatsServer

PATIENCE_S = 30.0
RETENTION_S = 60.0
TALK = Talk("golden-eagle-427", 1_000, "en")
AGAIN = Talk("golden-eagle-427", 2_000, "de")
ELSEWHERE = Talk("quiet-river-815", 1_500, "en")


class Rig(Protocol):
    """An archive under test and the hands that move its world."""

    archive: Archive

    def now_ms(self) -> int:
        """Epoch ms as the archive believes."""
        ...

    def pass_time(self, seconds: float) -> None:
        """Let it believe that this much time has passed."""
        ...

    async def settle(self) -> None:
        """Wait until what was appended can be read."""
        ...


class InProcessRig:
    """In memory."""

    def __init__(self) -> None:
        self._now_ms = 1_000_000
        self.archive: Archive = InProcessArchive(
            retention_s=RETENTION_S, clock_ms=self.now_ms, max_bytes=10_000_000
        )

    def now_ms(self) -> int:
        """Ours."""
        return self._now_ms

    def pass_time(self, seconds: float) -> None:
        """Put the clock forward."""
        self._now_ms += round(1000 * seconds)

    async def settle(self) -> None:
        """At once."""


class NatsRig:
    """On a real server."""

    def __init__(self) -> None:
        self.archive: Archive
        self.flushed: Callable[[], Awaitable[None]]
        self._added_ms = 0

    def now_ms(self) -> int:
        """The server's, and what a test adds."""
        return wall_clock_ms() + self._added_ms

    def pass_time(self, seconds: float) -> None:
        """Put the clock forward."""
        self._added_ms += round(1000 * seconds)

    async def settle(self) -> None:
        """When the server has said so."""
        async with asyncio.timeout(PATIENCE_S):
            await self.flushed()


@asynccontextmanager
async def in_process(_: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """Nothing to start and nothing to stop."""
    rig = InProcessRig()
    yield rig
    await rig.archive.aclose()


@asynccontextmanager
async def on_nats(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A server without the stream, before and after."""
    server: NatsServer = request.getfixturevalue("nats_server")
    rig = NatsRig()
    archive = await NatsArchive.open(BusConfig(bus_url=server.url), ArchiveConfig(1), clock_ms=rig.now_ms)
    rig.archive, rig.flushed = archive, archive.flushed
    yield rig
    await rig.archive.aclose()
    client = await nats.connect(server.url)
    await client.jetstream().delete_stream(nats_archive.STREAM)
    await client.close()


RIGS = {"in_process": in_process, "nats": on_nats}


@pytest.fixture(params=RIGS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """Each adapter in turn."""
    async with RIGS[request.param](request) as made:
        yield made


def entry(segment: int, text: str = "", *, revision: int = 0, epoch: int = 1, kept_ms: int = 5_000) -> Entry:
    """A text."""
    return Entry(
        segment=segment,
        revision=revision,
        text=text or f"text {segment}",
        start_ms=1000 * segment,
        end_ms=1000 * segment + 900,
        kept_ms=kept_ms,
        epoch=epoch,
        source_text="«original»",
    )


async def test_gives_back_what_was_appended(rig: Rig) -> None:
    """The texts of a language come back whole and in the order of their segments."""
    for segment in (1, 2, 4, 3):
        rig.archive.append(TALK, "es", entry(segment, f"qué tal {segment} עברית"))
    await rig.settle()
    assert await rig.archive.read(TALK, "es") == [entry(n, f"qué tal {n} עברית") for n in (1, 2, 3, 4)]


async def test_keeps_languages_and_talks_apart(rig: Rig) -> None:
    """Neither another language nor another talk is mixed in."""
    rig.archive.append(TALK, "en", entry(1, "hello"))
    rig.archive.append(TALK, "es", entry(1, "hola"))
    rig.archive.append(ELSEWHERE, "es", entry(1, "adiós"))
    await rig.settle()
    assert [one.text for one in await rig.archive.read(TALK, "es")] == ["hola"]
    assert [one.text for one in await rig.archive.read(ELSEWHERE, "es")] == ["adiós"]
    assert await rig.archive.read(TALK, "fr") == []


async def test_tells_what_it_has(rig: Rig) -> None:
    """A code finds its talk with its languages and when it was last heard of."""
    rig.archive.append(TALK, "fr", entry(1))
    rig.archive.append(TALK, "en", entry(1, kept_ms=7_000))
    await rig.settle()
    found = await rig.archive.find("golden-eagle-427")
    assert found is not None
    assert (found.talk, found.languages, found.ended_ms, found.last_ms, found.over_ms) == (
        TALK,
        ["en", "fr"],
        None,
        7_000,
        7_000,
    )
    assert await rig.archive.find("nobody-here-100") is None


async def test_appending_again_changes_nothing(rig: Rig) -> None:
    """The same text twice is there once."""
    for _ in range(3):
        rig.archive.append(TALK, "es", entry(1))
        rig.archive.append(TALK, "es", entry(2))
    await rig.settle()
    assert await rig.archive.read(TALK, "es") == [entry(1), entry(2)]


async def test_an_edit_takes_the_place_of_what_it_corrects(rig: Rig) -> None:
    """The highest revision counts, in whatever order they come."""
    rig.archive.append(TALK, "es", entry(1, "zwei", revision=2))
    rig.archive.append(TALK, "es", entry(2))
    rig.archive.append(TALK, "es", entry(1, "eins", revision=1))
    await rig.settle()
    assert [one.text for one in await rig.archive.read(TALK, "es")] == ["zwei", "text 2"]


async def test_what_a_later_owner_says_counts(rig: Rig) -> None:
    """An owner that was replaced cannot change what the next one recognised."""
    rig.archive.append(TALK, "es", entry(1, "new", epoch=2))
    rig.archive.append(TALK, "es", entry(1, "old", epoch=1, revision=7))
    await rig.settle()
    assert [one.text for one in await rig.archive.read(TALK, "es")] == ["new"]


async def test_a_code_that_is_given_again_is_another_talk(rig: Rig) -> None:
    """What was said under a code before is not found under it any more."""
    rig.archive.append(TALK, "en", entry(1))
    rig.archive.append(AGAIN, "de", entry(1, "neu"))
    await rig.settle()
    found = await rig.archive.find("golden-eagle-427")
    assert found is not None
    assert found.talk == AGAIN
    assert found.languages == ["de"]
    assert await rig.archive.read(AGAIN, "en") == []


async def test_texts_go_some_time_after_the_end(rig: Rig) -> None:
    """They can be read until the retention has passed since the end as it was said first."""
    rig.archive.append(TALK, "es", entry(1))
    ended_ms = rig.now_ms()
    rig.archive.end(TALK, at_ms=ended_ms)
    await rig.settle()
    rig.pass_time(RETENTION_S - 5)
    rig.archive.end(TALK, at_ms=rig.now_ms())
    await rig.settle()
    found = await rig.archive.find(TALK.session_id)
    assert found is not None
    assert found.ended_ms == ended_ms
    assert found.over_ms == ended_ms
    assert await rig.archive.read(TALK, "es") == [entry(1)]
    rig.pass_time(6)
    assert await rig.archive.find(TALK.session_id) is None


async def test_an_end_of_nothing_is_nothing(rig: Rig) -> None:
    """A talk in which nothing was said is not found."""
    rig.archive.end(TALK, at_ms=rig.now_ms())
    await rig.settle()
    assert await rig.archive.find(TALK.session_id) is None


async def test_a_long_talk_is_read_whole(rig: Rig) -> None:
    """Two thousand sentences come back."""
    for segment in range(2_000):
        rig.archive.append(TALK, "es", entry(segment, "palabra " * 30))
    await rig.settle()
    assert [one.segment for one in await rig.archive.read(TALK, "es")] == list(range(2_000))
