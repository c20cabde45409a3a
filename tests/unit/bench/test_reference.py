"""The programs in C that the gateway is measured with."""

import shutil
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from babelcast.bus.base import Topic
from bench.fanout_gateway import caption, voice
from bench.fanout_stations import MARK, ages_ms, stamped
from bench.reference.programs import CompilerMissing, Crowd, Program, broadcaster, build, crowd, parse_report
from gateway.rounds import encode

LISTENERS = 20
TOPIC = Topic("golden-eagle-427", "es")

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Program, Crowd]]:
    """A broadcaster and its listeners."""
    async with (
        broadcaster(build("broadcaster", tmp_path)) as (program, port),
        crowd(build("receiver", tmp_path), port=port, size=LISTENERS, at_once=5) as listeners,
    ):
        yield program, listeners


def framed(frame: bytes) -> bytes:
    """As the broadcaster reads it."""
    return len(frame).to_bytes(4, "big") + frame


def spoken(number: int) -> bytes:
    """A voice message as the gateway writes it."""
    return framed(encode(voice(TOPIC, number), "opus", "binary", now_ms=0))


def shown(number: int) -> bytes:
    """A caption as the gateway writes it."""
    return framed(encode(caption(TOPIC, number), "", "", now_ms=0))


@needs_compiler
async def test_everybody_gets_everything(served: tuple[Program, Crowd]) -> None:
    """Messages of both kinds are counted by their numbers, with the time of the last listener."""
    program, listeners = served
    before_ns = time.monotonic_ns()
    program.feed(b"".join(shown(number) + spoken(number) for number in (1, 2, 3)))
    assert await listeners.wait_for(6 * LISTENERS, timeout_s=10)
    arrivals = await listeners.report()
    assert (arrivals.lost, arrivals.doubled, arrivals.closed, arrivals.other) == (0, 0, 0, 0)
    for kind in ("voice", "caption"):
        counts = {number: count for number, (count, _) in arrivals.by_kind[kind].items()}
        assert counts == {1: LISTENERS, 2: LISTENERS, 3: LISTENERS}
        for _, last_ns in arrivals.by_kind[kind].values():
            assert before_ns < last_ns < time.monotonic_ns()
    assert (await listeners.report()).by_kind == {}


@needs_compiler
async def test_what_is_lost_or_doubled_shows(served: tuple[Program, Crowd]) -> None:
    """What is left out is lost to every listener; what comes again is doubled, and counts no more."""
    program, listeners = served
    program.feed(spoken(1) + spoken(4) + spoken(4) + spoken(5))
    assert await listeners.wait_for(3 * LISTENERS, timeout_s=10)
    arrivals = await listeners.report()
    assert (arrivals.lost, arrivals.doubled) == (2 * LISTENERS, LISTENERS)
    assert program.cpu_s() > 0
    assert program.memory_bytes() > 0


@needs_compiler
async def test_a_message_of_a_megabyte_comes_whole(served: tuple[Program, Crowd]) -> None:
    """What a socket does not take at once waits, and goes on."""
    program, listeners = served
    large = voice(TOPIC, 1)
    large.audio.opus = bytes(1_000_000)
    program.feed(framed(encode(large, "opus", "binary", now_ms=0)) + spoken(2))
    assert await listeners.wait_for(2 * LISTENERS, timeout_s=10)
    assert (await listeners.report()).lost == 0


def test_the_messages_have_the_sizes_that_are_spoken_of() -> None:
    """3 kB of Opus, and a caption of 300 bytes."""
    assert len(shown(1_000)) == pytest.approx(300, abs=20)
    assert len(voice(TOPIC, 1).audio.opus) == 3_000


def test_a_report_is_read() -> None:
    """Counts by name, then arrivals by kind and number."""
    found = parse_report(["lost 1 doubled 2 closed 3 other 4", "voice 7 20 123", "caption 7 19 456"])
    assert (found.lost, found.doubled, found.closed, found.other) == (1, 2, 3, 4)
    assert found.by_kind == {"voice": {7: (20, 123)}, "caption": {7: (19, 456)}}


def test_chunks_tell_their_age() -> None:
    """Each of those in a piece of audio, if its stamp is whole."""
    pcm = stamped(3_200) + stamped(3_200)
    ages = ages_ms(pcm + MARK + b"\0", time.monotonic_ns())
    assert len(ages) == 2
    assert all(0 <= age < 5_000 for age in ages)
    assert ages_ms(MARK + struct.pack("<q", 1_000_000), 3_000_000) == [2.0]


def test_no_compiler_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the way to name one."""
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(CompilerMissing, match="CC may name"):
        build("receiver", tmp_path)
