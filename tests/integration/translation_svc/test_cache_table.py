"""A table that is slow, full, broken or away costs hits, and nothing else."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable

import pytest

from translation_svc import cache_table
from translation_svc.aws import AwsSettings
from translation_svc.breaker import Breaker
from translation_svc.cache import Cache, Outcome, Shelved
from translation_svc.cache_table import READ_DEADLINE_S, TableShelf

SETTINGS = AwsSettings(region="eu-west-1", call_timeout_s=5)
FOUND = {"Item": {"text": {"S": "kept"}, "ttl": {"N": "99999999999"}}}
SHELVED = Shelved("x", 60.0)
MUCH_S = 2.0
"""More than any answer may take here, on a busy machine."""


class Table:
    """A DynamoDB that does what a test says: an answer as JSON with a status, or none at all."""

    def __init__(self) -> None:
        self.status, self.answer = 200, "{}"
        self.hangs = False
        self.asked: list[str] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        """Listen; returns the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Refuse connections, and end those there are."""
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = (line.partition(": ") for line in head.splitlines())
                headers = {name.lower(): value for name, _, value in lines}
                await reader.readexactly(int(headers["content-length"]))
                self.asked.append(headers["x-amz-target"].partition(".")[2])
                if self.hangs:
                    continue
                body = self.answer.encode()
                writer.write(
                    f"HTTP/1.1 {self.status} x\r\ncontent-type: application/x-amz-json-1.0\r\n"
                    f"content-length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        self._open.discard(writer)
        writer.close()


@pytest.fixture
async def table(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Table]:
    """A table, with the environment in which boto finds it."""
    made = Table()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", await made.start())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    yield made
    await made.stop()


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """The breaker's clock."""
    return Clock()


@pytest.fixture
async def make_shelf(table: Table, clock: Clock) -> AsyncIterator[Callable[..., TableShelf]]:
    """Makes shelves, whose connection is open."""
    made: list[TableShelf] = []

    def make(*, read_deadline_s: float = MUCH_S) -> TableShelf:
        shelf = TableShelf(
            "T", settings=SETTINGS, read_deadline_s=read_deadline_s, breaker=Breaker(clock=clock)
        )
        made.append(shelf)
        return shelf

    yield make
    table.hangs = False
    await table.stop()
    for shelf in made:
        await shelf.aclose()


async def _ask(cache: Cache, key: str) -> str:
    async def make() -> str:
        return "made"

    return await cache.get(key, make)


async def _timed(cache: Cache, key: str) -> float:
    began = time.monotonic()
    assert await _ask(cache, key) == "made"
    return time.monotonic() - began


async def test_a_table_that_hangs_delays_nobody_for_long(
    table: Table, clock: Clock, make_shelf: Callable[..., TableShelf]
) -> None:
    """Three wait for their deadline, the others do not ask; when it answers again, so do hits."""
    shelf = make_shelf()
    cache = Cache(capacity=100, ttl_s=60, shelf=shelf)
    assert await _ask(cache, "first") == "made"  # the connection is open
    table.hangs, shelf._read_deadline_s = True, READ_DEADLINE_S
    waits = [await _timed(cache, str(number)) for number in range(20)]
    assert all(READ_DEADLINE_S <= wait < MUCH_S for wait in waits[:3])
    assert sum(waits[3:]) < 17 * READ_DEADLINE_S / 2
    assert table.asked.count("GetItem") <= 4
    table.hangs, table.answer = False, json.dumps(FOUND)
    shelf._read_deadline_s = MUCH_S
    clock.now_s += 1
    assert await _ask(cache, "again") == "kept"
    assert await _ask(cache, "and again") == "kept"
    assert cache.asked[Outcome.TABLE] == 2


async def test_a_table_that_refuses_is_left_alone(
    table: Table, make_shelf: Callable[..., TableShelf], caplog: pytest.LogCaptureFixture
) -> None:
    """That is logged once, and what should be written is dropped."""
    await table.stop()
    shelf = make_shelf(read_deadline_s=READ_DEADLINE_S)
    shelf.start()
    cache = Cache(capacity=100, ttl_s=60, shelf=shelf)
    for number in range(50):
        assert await _ask(cache, str(number)) == "made"
    await shelf.flush()
    assert shelf.dropped == 50
    told = [record for record in caplog.records if "left alone" in record.message]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, '{"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}'),
        (400, '{"__type": "AccessDeniedException"}'),
        (400, '{"__type": "ProvisionedThroughputExceededException"}'),
        (200, "no JSON"),
        (200, '{"Item": {"text": {"N": "5"}}}'),
        (200, '{"Item": {"text": {"S": "old"}, "ttl": {"N": "5"}}}'),
        (200, '{"Item": {"text": {"S": "odd"}, "ttl": {"N": "soon"}}}'),
    ],
)
async def test_no_answer_of_the_table_harms(
    table: Table, make_shelf: Callable[..., TableShelf], status: int, answer: str
) -> None:
    """A missing table, a missing right, too little capacity, nonsense, rows that are not ours or too old."""
    table.status, table.answer = status, answer
    cache = Cache(capacity=100, ttl_s=60, shelf=make_shelf())
    for number in range(6):
        assert await _ask(cache, str(number)) == "made"


async def test_writes_that_are_not_taken_are_dropped(
    table: Table, make_shelf: Callable[..., TableShelf]
) -> None:
    """Once said so, they are not tried again."""
    shelf = make_shelf()
    shelf.start()
    table.answer = json.dumps({"UnprocessedItems": {"T": [{"PutRequest": {"Item": {}}}]}})
    shelf.put("a", SHELVED)
    shelf.put("b", SHELVED)
    await shelf.flush()
    assert (shelf.dropped, table.asked.count("BatchWriteItem")) == (1, 1)


async def test_more_than_can_wait_is_dropped(
    table: Table, make_shelf: Callable[..., TableShelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is bounded, and closing gives what waits a moment only."""
    monkeypatch.setattr(cache_table, "FLUSH_S", 0.05)
    table.hangs = True
    shelf = make_shelf()
    shelf.start()
    for number in range(cache_table.MAX_WAITING + 10):
        shelf.put(str(number), SHELVED)
    assert shelf.dropped == 10
    began = time.monotonic()
    await shelf.aclose()
    assert time.monotonic() - began < MUCH_S
    assert shelf.dropped == cache_table.MAX_WAITING + 10


async def test_reads_under_way_are_bounded(
    table: Table, make_shelf: Callable[..., TableShelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crowd beyond that finds nothing at once."""
    monkeypatch.setattr(cache_table, "MAX_READS", 2)
    table.hangs = True
    shelf = make_shelf(read_deadline_s=READ_DEADLINE_S)
    waiting = [asyncio.create_task(shelf.get(key)) for key in "ab"]
    await asyncio.sleep(0)
    assert await shelf.get("c") is None
    await asyncio.gather(*waiting)
