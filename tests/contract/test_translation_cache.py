"""What the cache of translations does, with and without a table behind it."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from session_svc.store.dynamodb.client import open_client
from session_svc.store.dynamodb.provisioning import Provisioning
from session_svc.store.dynamodb.tables import Table
from translation_svc.aws import AwsSettings
from translation_svc.cache import Cache, Keep, Outcome
from translation_svc.cache_table import BATCH, KEY, LONGEST_TEXT, TableShelf

PATIENCE_S = 30.0
REGION = "eu-west-1"


class Engine:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def of(self, text: str) -> Callable[[], Awaitable[str]]:
        async def make() -> str:
            self.calls.append(text)
            await asyncio.sleep(0)
            return f"translated {text}"

        return make


class Clocks:
    """Both of a process's clocks, which only a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Replicas:
    """Makes caches as processes would have them; with a table, it is one for all of them."""

    def __init__(self, table: str) -> None:
        self.clock = Clocks()
        self.table = table
        self._shelves: list[TableShelf] = []
        self._caches: list[Cache] = []

    def cache(self, *, capacity: int = 100, edition: str = "1") -> Cache:
        shelf = self._shelf(edition) if self.table else None
        made = Cache(capacity=capacity, ttl_s=3600, shelf=shelf, clock=self.clock)
        self._caches.append(made)
        return made

    def _shelf(self, edition: str) -> TableShelf:
        settings = AwsSettings(region=REGION, call_timeout_s=PATIENCE_S)
        shelf = TableShelf(
            self.table,
            settings=settings,
            edition=edition,
            read_deadline_s=PATIENCE_S,
            wall_clock=self.clock,
        )
        shelf.start()
        self._shelves.append(shelf)
        return shelf

    async def settle(self) -> None:
        """Until all that is to be written is."""
        for shelf in self._shelves:
            await shelf.flush()

    @property
    def dropped(self) -> int:
        return sum(shelf.dropped for shelf in self._shelves)

    async def aclose(self) -> None:
        for cache in self._caches:
            await cache.aclose()
        for shelf in self._shelves:
            await shelf.aclose()
            await shelf.aclose()


@contextlib.asynccontextmanager
async def _replicas(table: str) -> AsyncIterator[Replicas]:
    made = Replicas(table)
    try:
        yield made
    finally:
        await made.aclose()


async def _make_table(name: str) -> None:
    client, close = await open_client(REGION)
    try:
        await Provisioning(client, {}).create(Table(name, KEY))
    finally:
        await close()


@pytest.fixture
async def table(request: pytest.FixtureRequest) -> str:
    """A new table."""
    request.getfixturevalue("dynamodb")
    name = f"TranslationCache-{uuid.uuid4().hex[:12]}"
    await _make_table(name)
    return name


@pytest.fixture(params=["memory", "table"])
async def replicas(request: pytest.FixtureRequest) -> AsyncIterator[Replicas]:
    """Both sides."""
    name = ""
    if request.param == "table":
        request.getfixturevalue("dynamodb")
        name = f"TranslationCache-{uuid.uuid4().hex[:12]}"
        await _make_table(name)
    async with _replicas(name) as made:
        yield made


@pytest.fixture
async def shared(table: str) -> AsyncIterator[Replicas]:
    """Replicas with a table."""
    async with _replicas(table) as made:
        yield made


async def test_a_hit_costs_no_engine_call(replicas: Replicas) -> None:
    """However often it is asked for."""
    cache, engine = replicas.cache(), Engine()
    for _ in range(5):
        assert await cache.get("k", engine.of("ü 你好")) == "translated ü 你好"
    assert engine.calls == ["ü 你好"]
    assert cache.asked[Outcome.MEMORY] == 4


async def test_single_flight(replicas: Replicas) -> None:
    """Many who ask at once are one call, and the first who leaves takes nobody along."""
    cache, engine = replicas.cache(), Engine()
    asking = [asyncio.create_task(cache.get("k", engine.of("x"))) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == ["translated x"] * 19
    assert engine.calls == ["x"]


async def test_a_failure_is_not_kept(replicas: Replicas) -> None:
    """Not even by the table."""
    cache, engine = replicas.cache(), Engine()

    async def fail() -> str:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await cache.get("k", fail)
    await replicas.settle()
    assert await replicas.cache().get("k", engine.of("x")) == "translated x"


async def test_an_answer_lives_for_an_hour(replicas: Replicas) -> None:
    """In memory, and where it came from the table not longer than there."""
    cache, engine = replicas.cache(), Engine()
    await cache.get("k", engine.of("x"))
    await replicas.settle()
    replicas.clock.now_s += 3_599
    other = replicas.cache()
    for each in (cache, other):
        await each.get("k", engine.of("x"))
    calls = len(engine.calls)
    assert calls == (1 if replicas.table else 2)
    replicas.clock.now_s += 1
    await cache.get("k", engine.of("x"))
    assert len(engine.calls) == calls + 1
    if replicas.table:
        await other.get("k", engine.of("x"))
        assert other.asked[Outcome.MEMORY] == 0


async def test_the_least_recently_used_goes(replicas: Replicas) -> None:
    """Memory holds so many and no more."""
    cache, engine = replicas.cache(capacity=2), Engine()
    for key in "abac":
        await cache.get(key, engine.of(key))
    assert len(cache) == 2
    await cache.get("a", engine.of("a"))
    assert engine.calls == ["a", "b", "c"]


async def test_replicas_share_the_table(shared: Replicas) -> None:
    """What one made, another one need not; nor need one that was started again."""
    engine = Engine()
    await shared.cache().get("k", engine.of("x"))
    await shared.settle()
    other = shared.cache()
    assert await other.get("k", engine.of("x")) == "translated x"
    assert engine.calls == ["x"]
    assert (other.asked[Outcome.TABLE], other.asked[Outcome.MISS]) == (1, 0)


async def test_editions_of_the_program_share_nothing(shared: Replicas) -> None:
    """A newer one makes its own."""
    engine = Engine()
    await shared.cache(edition="1").get("k", engine.of("x"))
    await shared.settle()
    await shared.cache(edition="2").get("k", engine.of("x"))
    assert engine.calls == ["x", "x"]


async def test_many_texts_go_out_by_the_batch(shared: Replicas) -> None:
    """All arrive; what is too long or kept here alone is not sent."""
    cache, engine = shared.cache(), Engine()
    for number in range(2 * BATCH + 1):
        await cache.get(str(number), engine.of(str(number)))
    await cache.get("long", engine.of("x" * LONGEST_TEXT))
    await cache.get("partial", engine.of("x"), keep=Keep.HERE)
    await shared.settle()
    other, again = shared.cache(), Engine()
    for key in (*map(str, range(2 * BATCH + 1)), "long", "partial"):
        await other.get(key, again.of("new"))
    assert len(again.calls) == 2
    assert shared.dropped == 1


async def test_rows_name_when_they_expire(shared: Replicas, table: str) -> None:
    """In the attribute that the table is made to expire by, in whole seconds; the text is nobody's key."""
    import aioboto3

    await shared.cache().get("k", Engine().of("x"))
    await shared.settle()
    session = aioboto3.Session()
    endpoint = os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
    async with session.client("dynamodb", region_name=REGION, endpoint_url=endpoint) as client:
        found = await client.scan(TableName=table)
        expiry = await client.describe_time_to_live(TableName=table)
    row = {"cacheKey": {"S": "1/k"}, "text": {"S": "translated x"}, "ttl": {"N": "1800003600"}}
    assert found["Items"] == [row]
    assert expiry["TimeToLiveDescription"]["AttributeName"] == "ttl"
