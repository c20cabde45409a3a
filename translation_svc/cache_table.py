"""The cache's table in DynamoDB, which replicas share and restarts survive."""
# ruff: noqa: N803, D102 - calls and their parameters are named and described by AWS

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NotRequired, Protocol, TypeAlias, TypedDict

from babelcast.telemetry import instruments
from translation_svc.aws import AwsClient, AwsSettings
from translation_svc.breaker import Breaker
from translation_svc.cache import Shelved
from translation_svc.failures import EngineFailure

KEY: Final = "cacheKey"
TTL: Final = "ttl"
"""Attribute by which DynamoDB lets rows expire, epoch seconds. It may take days to, so readers look too."""
TEXT: Final = "text"

READ_DEADLINE_S: Final = 0.05
"""An answer that takes longer saves nobody time."""
CALL_TIMEOUT_S: Final = 2.0
MAX_READS: Final = 64
"""Reads under way, late ones included; above it, the table counts as not having it."""
MAX_WAITING: Final = 1_000
"""Texts that wait to be written. When there are more, the newest is dropped."""
BATCH: Final = 25
"""Most that BatchWriteItem takes."""
LONGEST_TEXT: Final = 16_000
"""Characters; longer texts are not written."""
FLUSH_S: Final = 1.0
_ENGINE: Final = "translation cache"

log = logging.getLogger(__name__)

Value: TypeAlias = Mapping[str, str]
_Answer: TypeAlias = Shelved | EngineFailure | None


class _Row(TypedDict):
    Item: NotRequired[Mapping[str, Value]]


class _Written(TypedDict):
    UnprocessedItems: NotRequired[Mapping[str, Sequence[object]]]


class TableClient(Protocol):
    """What is used of aiobotocore's client."""

    async def get_item(self, *, TableName: str, Key: Mapping[str, Value]) -> _Row: ...

    async def batch_write_item(
        self, *, RequestItems: Mapping[str, Sequence[Mapping[str, object]]]
    ) -> _Written: ...


class TableShelf:
    """A shelf that costs nothing but hits when it is slow, full, broken or away.

    A read is waited for no longer than READ_DEADLINE_S. It goes on behind that, so that connections and
    credentials come to be. Writes wait in a bounded queue and go out by the batch. When the table fails
    three times in a row it is left alone for a while: reads find nothing at once, and writes are dropped.
    """

    def __init__(
        self,
        table: str,
        *,
        settings: AwsSettings,
        edition: str = "",
        read_deadline_s: float = READ_DEADLINE_S,
        breaker: Breaker | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`edition` keeps apart what different versions of the program wrote."""
        self.dropped = 0
        self._table = table
        self._edition = edition
        self._read_deadline_s = read_deadline_s
        self._breaker = breaker or Breaker()
        self._wall_clock = wall_clock
        self._client: AwsClient[TableClient] = AwsClient("dynamodb", engine=_ENGINE, settings=settings)
        self._reads: set[asyncio.Task[_Answer]] = set()
        self._waiting: asyncio.Queue[tuple[str, Mapping[str, Value]]] = asyncio.Queue(MAX_WAITING)
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write, and open the connection by a first read that nobody waits for."""
        self._writer = asyncio.create_task(self._write_all(), name="cache writer")
        self._read_behind("-")

    async def get(self, key: str) -> Shelved | None:
        """What the table has, if it says so in time."""
        if len(self._reads) >= MAX_READS or not self._breaker.admits():
            return None
        read = self._read_behind(key)
        done, _ = await asyncio.wait({read}, timeout=self._read_deadline_s)
        if not done:
            self._failed("late")
            return None
        answer = read.result()
        if isinstance(answer, EngineFailure):
            self._failed(answer.message)
            return None
        if self._breaker.succeeded():
            log.info("the cache's table answers again")
        return answer

    def put(self, key: str, shelved: Shelved) -> None:
        """Write soon, or not at all."""
        if len(shelved.text) > LONGEST_TEXT or self._waiting.full():
            self._drop(1)
        else:
            until = math.floor(self._wall_clock() + shelved.left_s)
            self._waiting.put_nowait((key, {TEXT: {"S": shelved.text}, TTL: {"N": str(until)}}))

    async def flush(self) -> None:
        """Wait until everything that waits is written or dropped."""
        await self._waiting.join()

    async def aclose(self) -> None:
        """Write what waits, for a second at most, then close; idempotent."""
        if self._writer is not None:
            try:
                async with asyncio.timeout(FLUSH_S):
                    await self.flush()
            except TimeoutError:
                self._drop(self._waiting.qsize())
            self._writer.cancel()
            await asyncio.wait([self._writer])
        for read in self._reads:
            read.cancel()
        if self._reads:
            await asyncio.wait(self._reads)
        await self._client.aclose()

    def _read_behind(self, key: str) -> asyncio.Task[_Answer]:
        read = asyncio.create_task(self._read(key), name="cache read")
        self._reads.add(read)
        read.add_done_callback(self._reads.discard)
        return read

    async def _read(self, key: str) -> _Answer:
        async def ask(client: TableClient) -> _Row:
            return await client.get_item(TableName=self._table, Key={KEY: {"S": self._row_key(key)}})

        try:
            answer = await self._client.call("dynamodb:GetItem", ask)
        except EngineFailure as failure:
            return failure
        return self._shelved(answer.get("Item", {}))

    def _shelved(self, row: Mapping[str, Value]) -> Shelved | None:
        try:
            text, until = row[TEXT]["S"], float(row[TTL]["N"])
        except (KeyError, ValueError):  # no row, or none of ours
            return None
        left_s = until - self._wall_clock()
        return Shelved(text, left_s) if left_s > 0 else None

    async def _write_all(self) -> None:
        while True:
            batch = dict([await self._waiting.get()])
            taken = 1
            while len(batch) < BATCH and not self._waiting.empty():
                batch.update([self._waiting.get_nowait()])
                taken += 1
            try:
                await self._write(batch)
            except asyncio.CancelledError:
                self._drop(len(batch))
                raise
            finally:
                for _ in range(taken):
                    self._waiting.task_done()

    async def _write(self, batch: Mapping[str, Mapping[str, Value]]) -> None:
        if self._breaker.rests:  # only reads try whether it works again: they tell soonest
            self._drop(len(batch))
            return
        rows = [
            {"PutRequest": {"Item": {KEY: {"S": self._row_key(key)}, **rest}}} for key, rest in batch.items()
        ]

        async def ask(client: TableClient) -> _Written:
            return await client.batch_write_item(RequestItems={self._table: rows})

        try:
            answer = await self._client.call("dynamodb:BatchWriteItem", ask)
        except EngineFailure as failure:
            self._drop(len(batch))
            self._failed(failure.message)
            return
        self._drop(len(answer.get("UnprocessedItems", {}).get(self._table, ())))

    def _row_key(self, key: str) -> str:
        return f"{self._edition}/{key}"

    def _drop(self, number: int) -> None:
        if number:
            self.dropped += number
            instruments.CACHE_DROPPED.add(number)

    def _failed(self, why: str) -> None:
        instruments.CACHE_TABLE_FAILURES.add(1)
        if self._breaker.failed():
            log.warning("the cache's table is left alone for a while", extra={"error": why})
