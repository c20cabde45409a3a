"""The cache of steps."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from babelcast.telemetry import instruments
from translation_svc.cache import (
    BYTES_PER_ENTRY,
    Cache,
    Eviction,
    Keep,
    Outcome,
    Shelved,
    cache_key,
    version_of,
)
from translation_svc.routes import Step
from translation_svc.translators.base import Pair


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
    cache = Cache(capacity=10, ttl_s=60)
    source = Source()
    values = await asyncio.gather(*(cache.get("a", source.make("a")) for _ in range(5)))
    assert values == ["A"] * 5
    assert source.asked == ["a"]
    assert (cache.asked[Outcome.FLIGHT], cache.asked[Outcome.MISS]) == (4, 1)


async def test_a_value_is_forgotten_after_its_time() -> None:
    """The clock decides, not the number of questions."""
    now = 0.0
    cache = Cache(capacity=10, ttl_s=60, clock=lambda: now)
    source = Source()
    await cache.get("a", source.make("a"))
    now = 59.9
    await cache.get("a", source.make("a"))
    assert source.asked == ["a"]
    now = 60.0
    await cache.get("a", source.make("a"))
    assert source.asked == ["a", "a"]
    assert cache.evicted[Eviction.EXPIRED] == 1


async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    """The next question is asked anew."""
    cache = Cache(capacity=10, ttl_s=60)

    async def fail() -> str:
        await asyncio.sleep(0)
        raise ValueError("no")

    outcomes = await asyncio.gather(cache.get("a", fail), cache.get("a", fail), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]
    assert await cache.get("a", Source().make("a")) == "A"


async def test_a_cut_stream_leaves_its_answer_for_the_next() -> None:
    """The flight goes on when the only one who waits is cancelled."""
    cache = Cache(capacity=10, ttl_s=60)
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
    cache = Cache(capacity=10, ttl_s=60)

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    waiting = asyncio.create_task(cache.get("a", never))
    await asyncio.sleep(0)
    await cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


class DictShelf:
    """A shelf in memory; tells what it was asked and given."""

    def __init__(self, **kept: Shelved) -> None:
        self.kept = kept
        self.asked: list[str] = []
        self.given: list[tuple[str, str]] = []
        self.left_s: list[float] = []

    async def get(self, key: str) -> Shelved | None:
        self.asked.append(key)
        await asyncio.sleep(0)
        return self.kept.get(key)

    def put(self, key: str, shelved: Shelved) -> None:
        self.given.append((key, shelved.text))
        self.left_s.append(shelved.left_s)


async def test_what_the_shelf_has_is_not_made() -> None:
    """It is kept here then, no longer than it is good; what the shelf lacks is made and given to it."""
    now = 0.0
    shelf = DictShelf(a=Shelved("from another", 5.0))
    cache = Cache(capacity=10, ttl_s=60, shelf=shelf, clock=lambda: now)
    source = Source()
    assert await cache.get("a", source.make("a")) == "from another"
    now = 4.9
    assert await cache.get("a", source.make("a")) == "from another"
    assert (shelf.asked, shelf.given, source.asked) == (["a"], [], [])
    now, shelf.kept = 5.0, {}
    assert await cache.get("a", source.make("a")) == "A"
    assert shelf.given == [("a", "A")]
    assert cache.asked == {Outcome.MEMORY: 1, Outcome.FLIGHT: 0, Outcome.TABLE: 1, Outcome.MISS: 1}


async def test_a_failure_is_not_shelved() -> None:
    """Nor kept here."""
    shelf = DictShelf()
    cache = Cache(capacity=10, ttl_s=60, shelf=shelf)

    async def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await cache.get("a", fail)
    assert (shelf.given, len(cache)) == ([], 0)


async def test_what_is_kept_here_alone_does_not_reach_the_shelf() -> None:
    """Neither asked for nor given."""
    shelf = DictShelf(a=Shelved("x", 5.0))
    cache = Cache(capacity=10, ttl_s=60, shelf=shelf)
    assert await cache.get("a", Source().make("a"), keep=Keep.HERE) == "A"
    assert (shelf.asked, shelf.given) == ([], [])


async def test_what_was_kept_here_is_shelved_when_somebody_wants_it_kept() -> None:
    """The last words of a sentence may have been translated before it was final: once, and to the shelf."""
    shelf = DictShelf()
    now = 0.0
    cache = Cache(capacity=10, ttl_s=60, shelf=shelf, clock=lambda: now)
    source = Source()
    await cache.get("a", source.make("a"), keep=Keep.HERE)
    now = 10.0
    for _ in range(3):
        await cache.get("a", source.make("a"))
    both = (cache.get("b", source.make("b"), keep=Keep.HERE), cache.get("b", source.make("b")))
    await asyncio.gather(*both)
    assert source.asked == ["a", "b"]
    assert shelf.given == [("a", "A"), ("b", "B")]
    assert shelf.left_s == [50, 60]


async def test_what_was_cut_off_is_shelved_all_the_same() -> None:
    """The flight itself gives its outcome to the shelf."""
    shelf = DictShelf()
    cache = Cache(capacity=10, ttl_s=60, shelf=shelf)
    asking = asyncio.create_task(cache.get("a", Source().make("a")))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert await cache.get("a", Source().make("a")) == "A"
    assert shelf.given == [("a", "A")]


async def test_long_texts_do_not_make_it_large() -> None:
    """It keeps fewer of them; one that is larger than all the room is not kept at all."""
    cache = Cache(capacity=10, ttl_s=60)

    async def make() -> str:
        return "x" * BYTES_PER_ENTRY * 4

    for number in range(10):
        await cache.get(str(number), make)
        assert cache.bytes <= 10 * BYTES_PER_ENTRY
    assert (len(cache), cache.evicted[Eviction.SIZE]) == (2, 8)

    async def make_huge() -> str:
        return "x" * BYTES_PER_ENTRY * 11

    assert len(await cache.get("huge", make_huge)) == BYTES_PER_ENTRY * 11
    assert (len(cache), cache.bytes) == (0, 0)


async def test_metrics_tell_the_hit_rate_the_size_and_what_went(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lookups by outcome, evictions by cause, entries and bytes; nothing of what was said."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    monkeypatch.setattr(instruments, "CACHE_LOOKUPS", meter.create_counter("lookups"))
    monkeypatch.setattr(instruments, "CACHE_EVICTIONS", meter.create_counter("evictions"))
    monkeypatch.setattr(instruments, "CACHE_ENTRIES", meter.create_gauge("entries"))
    monkeypatch.setattr(instruments, "CACHE_BYTES", meter.create_gauge("bytes"))
    cache = Cache(capacity=2, ttl_s=60)
    source = Source()
    await asyncio.gather(*(cache.get("a", source.make("a")) for _ in range(3)))
    for key in "aabc":
        await cache.get(key, source.make(key))
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (metric.name, *(point.attributes or {}).values()): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if isinstance(point, NumberDataPoint)
    }
    assert found == {
        ("lookups", "miss"): 3,
        ("lookups", "flight"): 2,
        ("lookups", "memory"): 2,
        ("evictions", "capacity"): 1,
        ("entries",): 2,
        ("bytes",): cache.bytes,
    }


TO_PT = Step("bergamot", Pair("en", "pt"))


def test_a_key_tells_apart_what_must_be() -> None:
    """Engine, source, target, edition, glossary and text all count."""
    keys = [
        cache_key(TO_PT, "Hello."),
        cache_key(Step("amazon", Pair("en", "pt")), "Hello."),
        cache_key(Step("bergamot", Pair("es", "pt")), "Hello."),
        cache_key(Step("bergamot", Pair("en", "es")), "Hello."),
        cache_key(TO_PT, "Hello.", edition="terms-of-us"),
        cache_key(TO_PT, "Hello.", glossary="5f"),
        cache_key(TO_PT, "hello."),
        cache_key(TO_PT, "Hello"),
    ]
    assert len(set(keys)) == len(keys)
    assert not any("ello" in key for key in keys)


def test_a_key_does_not_see_blanks_or_composition() -> None:
    """The text is normalised."""
    assert cache_key(TO_PT, "Caf\u00e9  au\nlait ") == cache_key(TO_PT, "Cafe\u0301 au lait")


def test_the_version_of_a_glossary_is_that_of_its_terms() -> None:
    """Whatever their order; any change makes another."""
    terms = {"a": {"es": "x", "fr": "y"}, "b": {"es": "z"}}
    shuffled = {"b": {"es": "z"}, "a": {"fr": "y", "es": "x"}}
    assert version_of(terms) == version_of(shuffled)
    others = [{}, {"a": {"es": "x", "fr": "y"}}, {**terms, "b": {"es": "w"}}, {**terms, "c": {"es": "z"}}]
    assert version_of(terms) not in {version_of(other) for other in others}


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(1, 4))
def test_it_keeps_the_most_recently_used(keys: list[str], capacity: int) -> None:
    """What is asked again within `capacity` other keys is never made again, everything else is."""

    async def run() -> None:
        cache = Cache(capacity=capacity, ttl_s=60)
        source = Source()
        recent: list[str] = []
        for key in keys:
            before = len(source.asked)
            assert await cache.get(key, source.make(key)) == key.upper()
            assert (len(source.asked) == before) == (key in recent[-capacity:])
            recent = [*(old for old in recent if old != key), key]
            assert len(cache) <= capacity

    asyncio.run(run())
