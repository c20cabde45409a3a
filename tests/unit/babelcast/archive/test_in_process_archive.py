"""The archive in memory stays within its bounds."""

import pytest

from babelcast.archive import in_process
from babelcast.archive.base import Entry, Talk
from babelcast.archive.in_process import InProcessArchive

TALK = Talk("golden-eagle-427", 1_000, "en")
OTHER = Talk("quiet-river-815", 1_000, "en")


def entry(segment: int, *, text: str = "text", kept_ms: int = 5_000, revision: int = 0) -> Entry:
    """A text."""
    return Entry(segment, revision, text, 0, 900, kept_ms)


def archive(max_bytes: int = 100_000, *, now_ms: int = 10_000) -> InProcessArchive:
    """One in memory."""
    return InProcessArchive(retention_s=60, clock_ms=lambda: now_ms, max_bytes=max_bytes)


async def test_talks_that_are_over_go_first() -> None:
    """When there is no room an ended talk goes before one that is older and on."""
    kept = archive(max_bytes=5_000)
    kept.append(TALK, "es", entry(1, kept_ms=1))
    kept.append(OTHER, "es", entry(1, text="x" * 3_000, kept_ms=9_000))
    kept.end(OTHER, at_ms=9_500)
    for segment in range(2, 6):
        kept.append(TALK, "es", entry(segment, text="y" * 100))
    assert await kept.read(OTHER, "es") == []
    assert len(await kept.read(TALK, "es")) == 5


async def test_one_endless_talk_loses_its_beginning() -> None:
    """The memory of a single talk is bounded, its oldest texts going first."""
    kept = archive(max_bytes=10_000)
    for segment in range(100):
        kept.append(TALK, "es", entry(segment, text="z" * 100))
        kept.append(TALK, "fr", entry(segment, text="z" * 100))
    assert kept.size <= 10_000
    assert (await kept.read(TALK, "es"))[-1].segment == 99
    assert (await kept.read(TALK, "fr"))[-1].segment == 99


async def test_a_language_keeps_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """More segments than are kept push out the first."""
    monkeypatch.setattr(in_process, "MAX_SEGMENTS", 3)
    kept = archive()
    for segment in range(5):
        kept.append(TALK, "es", entry(segment))
    assert [one.segment for one in await kept.read(TALK, "es")] == [2, 3, 4]


async def test_edits_take_no_further_room() -> None:
    """A text that takes another's place is counted instead of it."""
    kept = archive()
    kept.append(TALK, "es", entry(1))
    before = kept.size
    for revision in range(1, 50):
        kept.append(TALK, "es", entry(1, revision=revision))
    assert kept.size == before


async def test_a_talk_that_nobody_ended_goes_in_the_end() -> None:
    """A day without a word ends a talk."""
    now_ms = 10_000
    kept = InProcessArchive(retention_s=60, clock_ms=lambda: now_ms, max_bytes=10_000)
    kept.append(TALK, "es", entry(1))
    now_ms += 23 * 3_600_000
    assert await kept.find(TALK.session_id) is not None
    now_ms += 2 * 3_600_000
    assert await kept.find(TALK.session_id) is None
    assert kept.size == 0
