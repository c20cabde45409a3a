"""Calls to DynamoDB, repeated while that may help."""
# ruff: noqa: N803, D102 - calls and their parameters are named and described by AWS

import asyncio
import functools
import logging
import random
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypedDict, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from babelcast.backoff import Chance
from babelcast.telemetry.instruments import CONSUMED_CAPACITY, OPERATION, STORE_THROTTLED, TABLE
from session_svc.store.base import StoreUnavailable
from session_svc.store.dynamodb import faults
from session_svc.store.dynamodb.faults import (
    BUSY_BACKOFF,
    CONFLICT_BACKOFF,
    ConditionFailed,
    Fault,
)
from session_svc.store.dynamodb.outage import Outage
from session_svc.store.dynamodb.rows import Item, Value

Kind = Literal["Put", "Update", "Delete", "ConditionCheck"]

PAGE: Final = 100
LARGE_PAGE: Final = 1000
COUNTED: Final = "TOTAL"
"""What is asked of DynamoDB: to tell the capacity that a call took, indexes included."""
_NAME = re.compile(r"#(\w+)")
_VALUE = re.compile(r":(\w+)")

log = logging.getLogger(__name__)


class Capacity(TypedDict):
    """What a call took of one table."""

    TableName: str
    CapacityUnits: float


class Output(TypedDict, total=False):
    """What is read of answers: `get_item`, `update_item`; `query` and `scan`."""

    Item: Item
    Attributes: Item
    Items: list[Item]
    LastEvaluatedKey: Item
    ConsumedCapacity: Capacity


class TransactOutput(TypedDict, total=False):
    """What is read of the answer of `transact_write_items`."""

    ConsumedCapacity: list[Capacity]


AnswerT = TypeVar("AnswerT", Output, TransactOutput)


class Client(Protocol):
    """What is used of aiobotocore's client."""

    async def get_item(
        self, *, TableName: str, Key: Item, ConsistentRead: bool, ReturnConsumedCapacity: str
    ) -> Output: ...

    async def update_item(
        self,
        *,
        TableName: str,
        Key: Item,
        UpdateExpression: str,
        ConditionExpression: str,
        ExpressionAttributeNames: Mapping[str, str],
        ExpressionAttributeValues: Mapping[str, Value],
        ReturnValues: str,
        ReturnValuesOnConditionCheckFailure: str,
        ReturnConsumedCapacity: str,
    ) -> Output: ...

    async def transact_write_items(
        self,
        *,
        TransactItems: Sequence[Mapping[str, object]],
        ClientRequestToken: str,
        ReturnConsumedCapacity: str,
    ) -> TransactOutput: ...

    async def query(
        self,
        *,
        TableName: str,
        IndexName: str,
        KeyConditionExpression: str,
        ExpressionAttributeNames: Mapping[str, str],
        ExpressionAttributeValues: Mapping[str, Value],
        Limit: int,
        ReturnConsumedCapacity: str,
        ExclusiveStartKey: Item = ...,
    ) -> Output: ...

    async def scan(
        self,
        *,
        TableName: str,
        ConsistentRead: bool,
        FilterExpression: str,
        ExpressionAttributeNames: Mapping[str, str],
        ExpressionAttributeValues: Mapping[str, Value],
        ReturnConsumedCapacity: str,
        ExclusiveStartKey: Item = ...,
    ) -> Output: ...


@dataclass(frozen=True, slots=True)
class Write:
    """A conditional write of one row, or a condition alone.

    In `condition` and `update`, #name stands for the attribute of that name unless `aliases` says otherwise,
    and :name for an entry of `values`; entries that do not occur are left out.
    """

    kind: Kind
    table: str
    row: Item
    condition: str
    values: Mapping[str, Value] = field(default_factory=dict)
    update: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """ExpressionAttributeNames."""
        found = _NAME.findall(f"{self.update} {self.condition}")
        return {f"#{name}": self.aliases.get(name, name) for name in found}

    @property
    def used_values(self) -> dict[str, Value]:
        """ExpressionAttributeValues."""
        return {f":{name}": self.values[name] for name in _VALUE.findall(f"{self.update} {self.condition}")}

    def in_transaction(self) -> Mapping[str, object]:
        """As an entry of TransactItems."""
        entry: dict[str, object] = {
            "TableName": self.table,
            "Item" if self.kind == "Put" else "Key": self.row,
            "ConditionExpression": self.condition,
            "ExpressionAttributeNames": self.names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if values := self.used_values:
            entry["ExpressionAttributeValues"] = values
        if self.update:
            entry["UpdateExpression"] = self.update
        return {self.kind: entry}


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index and the names of its two keys."""

    name: str
    hash_key: str
    range_key: str


class Calls:
    """The calls that the store is made of. Each may raise StoreUnavailable.

    Calls that were turned away, or had no answer, are repeated up to three times, those in conflict with
    another transaction for some seconds. During an outage calls are not repeated, and most not begun.
    """

    def __init__(
        self,
        client: Client,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Chance = random.random,
        outage: Outage | None = None,
    ) -> None:
        self._client = client
        self._outage = Outage() if outage is None else outage
        self._sleep = sleep
        self._chance = chance

    async def get(self, table: str, key: Item) -> Item | None:
        """The row as it is now."""
        output = await self._repeated(
            "GetItem",
            lambda: self._client.get_item(
                TableName=table, Key=key, ConsistentRead=True, ReturnConsumedCapacity=COUNTED
            ),
        )
        return output.get("Item")

    async def update(self, write: Write) -> Item:
        """Update one row; returns all of it.

        Raises: ConditionFailed.
        """
        output = await self._repeated(
            "UpdateItem",
            lambda: self._client.update_item(
                TableName=write.table,
                Key=write.row,
                UpdateExpression=write.update,
                ConditionExpression=write.condition,
                ExpressionAttributeNames=write.names,
                ExpressionAttributeValues=write.used_values,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                ReturnConsumedCapacity=COUNTED,
            ),
        )
        return output["Attributes"]

    async def transact(self, *writes: Write) -> None:
        """Do all or nothing; by its token, a transaction whose answer was lost is not done again.

        Raises: ConditionFailed.
        """
        items = [write.in_transaction() for write in writes]
        token = str(uuid.uuid4())
        await self._repeated(
            "TransactWriteItems",
            lambda: self._client.transact_write_items(
                TransactItems=items, ClientRequestToken=token, ReturnConsumedCapacity=COUNTED
            ),
        )

    async def first(self, table: str, index: Index, value: str, *, limit: int = PAGE) -> list[Item]:
        """The first rows of an index under a hash key, lowest range key first.

        An index follows its table with a delay: what it says is to be asked of the table again.
        """
        return (await self.page(table, index, value, limit=limit))["Items"]

    async def page(
        self, table: str, index: Index, value: str, *, limit: int, after: Item | None = None
    ) -> Output:
        """Rows of an index under a hash key as `first`, but after a page's LastEvaluatedKey."""
        start: dict[str, Item] = {} if after is None else {"ExclusiveStartKey": after}
        return await self._repeated(
            "Query",
            lambda: self._client.query(
                TableName=table,
                IndexName=index.name,
                KeyConditionExpression="#hash = :value",
                ExpressionAttributeNames={"#hash": index.hash_key},
                ExpressionAttributeValues={":value": {"S": value}},
                Limit=limit,
                ReturnConsumedCapacity=COUNTED,
                **start,
            ),
        )

    async def every(self, table: str, index: Index, value: str) -> list[Item]:
        """All rows of an index under a hash key, lowest range key first."""
        found: list[Item] = []
        after: Item | None = None
        while True:
            output = await self.page(table, index, value, limit=LARGE_PAGE, after=after)
            found += output["Items"]
            if not (after := output.get("LastEvaluatedKey")):
                return found

    async def matching(self, table: str, attribute: str, value: Value) -> list[Item]:
        """All rows of a table with that value; reads the whole table."""
        found: list[Item] = []
        start: dict[str, Item] = {}
        while True:
            scan = functools.partial(self._page, table, attribute, value, start)
            output = await self._repeated("Scan", scan)
            found += output["Items"]
            if not (last := output.get("LastEvaluatedKey")):
                return found
            start = {"ExclusiveStartKey": last}

    async def _page(self, table: str, attribute: str, value: Value, start: Mapping[str, Item]) -> Output:
        return await self._client.scan(
            TableName=table,
            ConsistentRead=True,
            FilterExpression="#attribute = :value",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":value": value},
            ReturnConsumedCapacity=COUNTED,
            **start,
        )

    async def _repeated(self, operation: str, call: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        busy = conflicts = 0
        unsure = False
        if not self._outage.admits():
            raise StoreUnavailable
        while True:
            begun_s = self._outage.now_s()
            try:
                answer = await call()
            except (ClientError, BotoCoreError) as error:
                fault = faults.diagnose(error)
                cause = error
                if faults.is_throttled(error):
                    STORE_THROTTLED.add(1, {OPERATION: operation})
                if isinstance(error, ClientError):
                    self._outage.answered()
                elif fault is not Fault.BROKEN:
                    self._outage.unanswered(begun_s)
            else:
                self._outage.answered()
                _count(answer)
                return answer
            if isinstance(fault, ConditionFailed):
                raise ConditionFailed(fault.rows, unsure=unsure) from cause
            if fault is Fault.CONFLICT and conflicts < CONFLICT_BACKOFF.retries:
                delay_s = CONFLICT_BACKOFF.delay_s(conflicts, self._chance)
                conflicts += 1
            elif (
                fault in {Fault.BUSY, Fault.UNSURE} and busy < BUSY_BACKOFF.retries and not self._outage.sure
            ):
                delay_s = BUSY_BACKOFF.delay_s(busy, self._chance)
                busy += 1
                unsure = unsure or fault is Fault.UNSURE
            else:
                log.warning(
                    "a call to DynamoDB failed",
                    extra={"error": faults.code_of(cause), "fault": fault.name, "retries": busy + conflicts},
                )
                raise StoreUnavailable from cause
            await self._sleep(delay_s)


def _count(answer: Output | TransactOutput) -> None:
    """Count the capacity that a call took, where that was told."""
    told = answer.get("ConsumedCapacity") or ()
    for each in told if isinstance(told, list) else (told,):
        if each:
            CONSUMED_CAPACITY.add(each["CapacityUnits"], {TABLE: each["TableName"]})
