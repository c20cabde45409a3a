"""The cache of steps."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.cache import Cache


class Source:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def make(self, key: str) -> Callable[[], Awaitable[str]]:
        async def make() -> str:
            self.asked.append(key)
            await asyncio.sleep(0)
            return key.upper()

        return make


async def test_a_value_is_made_once_for_all_who_ask_at_once() -> None:
    """Single flight."""
    cache: Cache[str, str] = Cache(capacity=10, ttl_s=60)
    source = Source()
    values = await asyncio.gather(*(cache.get("a", source.make("a")) for _ in range(5)))
    assert values == ["A"] * 5
    assert source.asked == ["a"]
    assert (cache.hits, cache.misses) == (4, 1)


async def test_a_value_is_forgotten_after_its_time() -> None:
    """The clock decides, not the number of questions."""
    now = 0.0
    cache: Cache[str, str] = Cache(capacity=10, ttl_s=60, clock=lambda: now)
    source = Source()
    await cache.get("a", source.make("a"))
    now = 59.9
    await cache.get("a", source.make("a"))
    assert source.asked == ["a"]
    now = 60.0
    await cache.get("a", source.make("a"))
    assert source.asked == ["a", "a"]


async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    """The next question is asked anew."""
    cache: Cache[str, str] = Cache(capacity=10, ttl_s=60)

    async def fail() -> str:
        await asyncio.sleep(0)
        raise ValueError("no")

    outcomes = await asyncio.gather(cache.get("a", fail), cache.get("a", fail), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]
    assert await cache.get("a", Source().make("a")) == "A"


async def test_a_cut_stream_leaves_its_answer_for_the_next() -> None:
    """The flight goes on when the only one who waits is cancelled."""
    cache: Cache[str, str] = Cache(capacity=10, ttl_s=60)
    gate, source = asyncio.Event(), Source()

    async def make() -> str:
        source.asked.append("a")
        await gate.wait()
        return "A"

    first = asyncio.create_task(cache.get("a", make))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(cache.get("a", make))
    await asyncio.sleep(0)
    gate.set()
    assert await second == "A"
    assert source.asked == ["a"]


async def test_closing_ends_flights() -> None:
    """Nothing is left behind."""
    cache: Cache[str, str] = Cache(capacity=10, ttl_s=60)

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    waiting = asyncio.create_task(cache.get("a", never))
    await asyncio.sleep(0)
    await cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(1, 4))
def test_it_keeps_the_most_recently_used(keys: list[str], capacity: int) -> None:
    """What is asked again within `capacity` other keys is never made again, everything else is."""

    async def run() -> None:
        cache: Cache[str, str] = Cache(capacity=capacity, ttl_s=60)
        source = Source()
        recent: list[str] = []
        for key in keys:
            before = len(source.asked)
            await cache.get(key, source.make(key))
            assert (len(source.asked) == before) == (key in recent[-capacity:])
            recent = [*(old for old in recent if old != key), key]
            assert len(cache) <= capacity

    asyncio.run(run())
