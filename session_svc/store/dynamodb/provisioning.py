"""Making and checking the tables."""
# ruff: noqa: N803, D102 - calls and their parameters are named and described by AWS

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypedDict

from botocore.exceptions import ClientError

from session_svc.store.base import StoreUnavailable
from session_svc.store.dynamodb.calls import Index
from session_svc.store.dynamodb.faults import Fault, code_of, diagnose
from session_svc.store.dynamodb.rows import TTL
from session_svc.store.dynamodb.tables import MENDABLE, ON_DEMAND, Found, Lack, Table, Want, lacks

POLL_S: Final = 1.0
READY_S: Final = 600.0
_NO_TAGS_HERE: Final = "UnknownOperationException"
_IN_USE: Final = frozenset({"ResourceInUseException", "LimitExceededException"})

Pairs = Sequence[Mapping[str, str]]


class KeyPart(TypedDict):
    """One attribute of a key."""

    AttributeName: str


class IndexPart(TypedDict, total=False):
    """An index in a description."""

    IndexName: str
    IndexStatus: str
    KeySchema: list[KeyPart]


class AttributePart(TypedDict):
    """An attribute's type."""

    AttributeName: str
    AttributeType: str


class BillingPart(TypedDict, total=False):
    """How a table is billed; absent for tables that were always provisioned."""

    BillingMode: str


class Description(TypedDict, total=False):
    """What is read of a table's description."""

    TableArn: str
    TableStatus: str
    KeySchema: list[KeyPart]
    AttributeDefinitions: list[AttributePart]
    BillingModeSummary: BillingPart
    GlobalSecondaryIndexes: list[IndexPart]


class TimeToLive(TypedDict, total=False):
    """How rows expire."""

    TimeToLiveStatus: str
    AttributeName: str


class Answer(TypedDict, total=False):
    """What is read of answers."""

    Table: Description
    TimeToLiveDescription: TimeToLive
    Tags: list[dict[str, str]]
    NextToken: str


class Admin(Protocol):
    """What is used of aiobotocore's client here."""

    async def describe_table(self, *, TableName: str) -> Answer: ...

    async def describe_time_to_live(self, *, TableName: str) -> Answer: ...

    async def list_tags_of_resource(self, *, ResourceArn: str, NextToken: str = ...) -> Answer: ...

    async def create_table(
        self,
        *,
        TableName: str,
        KeySchema: Pairs,
        AttributeDefinitions: Pairs,
        BillingMode: str,
        Tags: Pairs,
        GlobalSecondaryIndexes: Sequence[Mapping[str, object]] = ...,
    ) -> object: ...

    async def update_table(
        self,
        *,
        TableName: str,
        BillingMode: str = ...,
        AttributeDefinitions: Pairs = ...,
        GlobalSecondaryIndexUpdates: Sequence[Mapping[str, object]] = ...,
    ) -> object: ...

    async def update_time_to_live(
        self, *, TableName: str, TimeToLiveSpecification: Mapping[str, object]
    ) -> object: ...

    async def tag_resource(self, *, ResourceArn: str, Tags: Pairs) -> object: ...


class Provisioning:
    """Makes and checks tables with at least these tags. Its methods raise what boto raises."""

    def __init__(
        self,
        admin: Admin,
        tags: Mapping[str, str],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._admin = admin
        self._tags = tags
        self._sleep = sleep

    async def check(self, table: Table) -> Sequence[Lack]:
        """What is not as it should be."""
        return lacks(table, await self.find(table.name), self._tags)

    async def create(self, table: Table) -> Sequence[str]:
        """Make the table, or mend it; returns what was done, nothing when it was as it should be.

        Raises: StoreUnavailable when it cannot be mended, or takes longer than ten minutes.
        """
        done: list[str] = []
        try:
            async with asyncio.timeout(READY_S):
                while not await self._step(table, done):
                    pass
        except TimeoutError as error:
            raise StoreUnavailable(f"{table.name} is not ready after {READY_S:.0f} s.") from error
        return done

    async def _step(self, table: Table, done: list[str]) -> bool:
        """Do the next thing that is lacking, or wait; True when nothing is."""
        try:
            found = await self.check(table)
            if not found:
                return True
            lack = found[0]
            if lack.want not in MENDABLE:
                raise StoreUnavailable(f"{table.name} {lack.words}; that cannot be changed.")
            if lack.want is not Want.TIME:
                await self._mend(table, lack)
                done.append(_DONE[lack.want])
                return False
        except ClientError as error:
            # Being changed, by us or by another one who mends, or not well at this moment: looked at again.
            if code_of(error) not in _IN_USE and diagnose(error) is Fault.BROKEN:
                raise
        await self._sleep(POLL_S)
        return False

    async def find(self, name: str) -> Found | None:
        """The table as it is."""
        try:
            table = (await self._admin.describe_table(TableName=name))["Table"]
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return None
            raise
        ttl = (await self._admin.describe_time_to_live(TableName=name))["TimeToLiveDescription"]
        expires = ttl.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
        indexes = table.get("GlobalSecondaryIndexes", [])
        return Found(
            status=table["TableStatus"],
            keys=_names(table["KeySchema"]),
            indexes={index["IndexName"]: _names(index["KeySchema"]) for index in indexes},
            busy_indexes=frozenset(
                index["IndexName"] for index in indexes if index["IndexStatus"] == "CREATING"
            ),
            kinds={part["AttributeName"]: part["AttributeType"] for part in table["AttributeDefinitions"]},
            billing=table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
            ttl=ttl.get("AttributeName", "") if expires else "",
            tags=await self._tags_of(table["TableArn"]),
        )

    async def _tags_of(self, arn: str) -> Mapping[str, str] | None:
        found: dict[str, str] = {}
        page: dict[str, str] = {}
        while True:
            try:
                answer = await self._admin.list_tags_of_resource(ResourceArn=arn, **page)
            except ClientError as error:
                if code_of(error) == _NO_TAGS_HERE:
                    return None
                raise
            found |= {tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])}
            if not (token := answer.get("NextToken")):
                return found
            page = {"NextToken": token}

    async def _mend(self, table: Table, lack: Lack) -> None:
        match lack.want:
            case Want.TABLE:
                await self._create(table)
            case Want.INDEX if lack.index is not None:
                await self._add_index(table, lack.index)
            case Want.BILLING:
                await self._admin.update_table(TableName=table.name, BillingMode=ON_DEMAND)
            case Want.TTL:
                await self._admin.update_time_to_live(
                    TableName=table.name,
                    TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL},
                )
            case _:
                arn = (await self._admin.describe_table(TableName=table.name))["Table"]["TableArn"]
                await self._admin.tag_resource(ResourceArn=arn, Tags=_pairs(self._tags))

    async def _create(self, table: Table) -> None:
        indexes = [_index(index) for index in table.indexes]
        if indexes:
            await self._admin.create_table(
                TableName=table.name,
                KeySchema=_schema(table.key),
                AttributeDefinitions=_definitions(table),
                BillingMode=ON_DEMAND,
                Tags=_pairs(self._tags),
                GlobalSecondaryIndexes=indexes,
            )
        else:
            await self._admin.create_table(
                TableName=table.name,
                KeySchema=_schema(table.key),
                AttributeDefinitions=_definitions(table),
                BillingMode=ON_DEMAND,
                Tags=_pairs(self._tags),
            )

    async def _add_index(self, table: Table, index: Index) -> None:
        # Attributes that are no key of anything yet may not be defined.
        found = await self.find(table.name)
        defined = {index.hash_key, index.range_key, *(() if found is None else found.kinds)}
        await self._admin.update_table(
            TableName=table.name,
            AttributeDefinitions=[part for part in _definitions(table) if part["AttributeName"] in defined],
            GlobalSecondaryIndexUpdates=[{"Create": _index(index)}],
        )


_DONE: Mapping[Want, str] = {
    Want.TABLE: "made",
    Want.INDEX: "index added",
    Want.BILLING: "billed on demand",
    Want.TTL: "rows expire",
    Want.TAGS: "tagged",
}


def _names(parts: Sequence[KeyPart]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in parts)


def _schema(hash_key: str, range_key: str = "") -> Pairs:
    schema = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return [*schema, {"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else schema


def _definitions(table: Table) -> Pairs:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in table.kinds().items()]


def _index(index: Index) -> Mapping[str, object]:
    return {
        "IndexName": index.name,
        "KeySchema": _schema(index.hash_key, index.range_key),
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def _pairs(tags: Mapping[str, str]) -> Pairs:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
