"""How tables differ from what they should be, and how that is mended."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import cast

import pytest
from botocore.exceptions import ClientError

from session_svc.store.base import StoreUnavailable
from session_svc.store.dynamodb import provisioning as provisioning_module
from session_svc.store.dynamodb.client import Boto, open_client
from session_svc.store.dynamodb.provisioning import Admin, Answer, IndexPart, Provisioning
from session_svc.store.dynamodb.tables import Found, Table, TableNames, Want, lacks, tables

SESSIONS, CONNECTIONS, RATES = tables(TableNames())
TAGS = {"Application": "babelcast"}


def good(table: Table) -> Found:
    """A table as it should be."""
    return Found(
        status="ACTIVE",
        keys=(table.key,),
        indexes={index.name: (index.hash_key, index.range_key) for index in table.indexes},
        busy_indexes=frozenset(),
        kinds=table.kinds(),
        billing="PAY_PER_REQUEST",
        ttl="ttl",
        tags={"Application": "babelcast", "Owner": "anna"},
    )


GOOD = good(CONNECTIONS)
INDEX = "sessionId-targetLanguage-index"


@pytest.mark.parametrize("table", [SESSIONS, CONNECTIONS, RATES], ids=lambda table: table.name)
def test_a_good_table_lacks_nothing(table: Table) -> None:
    """Other tags, and an endpoint that keeps none, are no fault."""
    assert lacks(table, good(table), TAGS) == []
    assert lacks(table, replace(good(table), tags=None), TAGS) == []


@pytest.mark.parametrize(
    ("found", "want", "words"),
    [
        (None, Want.TABLE, "is missing"),
        (replace(GOOD, status="CREATING"), Want.TIME, "is creating"),
        (replace(GOOD, keys=("id", "at")), Want.KEYS, "has the key id, at, not connectionId"),
        (replace(GOOD, kinds={**GOOD.kinds, "untilAt": "S"}), Want.KEYS, "has untilAt of type S, not N"),
        (replace(GOOD, indexes={**GOOD.indexes, INDEX: ("sessionId",)}), Want.KEYS, f"the index {INDEX}"),
        (replace(GOOD, indexes={}), Want.INDEX, f"lacks the index {INDEX}"),
        (replace(GOOD, busy_indexes=frozenset({INDEX})), Want.TIME, f"building the index {INDEX}"),
        (replace(GOOD, billing="PROVISIONED"), Want.BILLING, "billed as PROVISIONED"),
        (replace(GOOD, ttl=""), Want.TTL, "does not expire rows"),
        (replace(GOOD, ttl="expires"), Want.KEYS, "expires rows by expires, not ttl"),
        (replace(GOOD, tags={}), Want.TAGS, "lacks the tags Application=babelcast"),
    ],
)
def test_what_is_lacking_is_named(found: Found | None, want: Want, words: str) -> None:
    """Each difference has its words."""
    first, *_ = lacks(CONNECTIONS, found, TAGS)
    assert first.want is want
    assert words in first.words


def test_the_index_has_its_name() -> None:
    """Connections are found by session and language under the name that others know."""
    assert [(index.hash_key, index.range_key) for index in CONNECTIONS.indexes if index.name == INDEX] == [
        ("sessionId", "targetLanguage")
    ]


@pytest.fixture
async def client(dynamodb: TableNames) -> AsyncIterator[Boto]:
    """A client of DynamoDB Local, without tables."""
    made, close = await open_client("eu-west-1")
    yield made
    await close()


async def never(_: float) -> None:
    """Nothing needs to be waited for, or not for long."""
    await asyncio.sleep(0.02)


async def test_making_tables_twice(client: Boto, dynamodb: TableNames) -> None:
    """What is made is as it should be, and is not made again."""
    provisioning = Provisioning(client, TAGS, sleep=never)
    for table in tables(dynamodb):
        assert [lack.want for lack in await provisioning.check(table)] == [Want.TABLE]
        assert await provisioning.create(table) == ["made", "rows expire"]
        assert await provisioning.check(table) == []
        assert await provisioning.create(table) == []


async def test_mending_a_table(client: Boto, dynamodb: TableNames) -> None:
    """A table of another make gets its billing and expiry."""
    _, _, table = tables(dynamodb)
    await client.create_table(
        TableName=table.name,
        KeySchema=[{"AttributeName": table.key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": table.key, "AttributeType": "S"}],
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},  # type: ignore[call-arg]
    )
    provisioning = Provisioning(client, TAGS, sleep=never)
    assert {lack.want for lack in await provisioning.check(table)} == {Want.BILLING, Want.TTL}
    assert await provisioning.create(table) == ["billed on demand", "rows expire"]
    assert await provisioning.check(table) == []


async def test_a_table_that_cannot_be_mended(client: Boto, dynamodb: TableNames) -> None:
    """A key is for ever, so that is said."""
    _, _, table = tables(dynamodb)
    await client.create_table(
        TableName=table.name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=[],
    )
    with pytest.raises(StoreUnavailable, match="has the key id, not rateKey; that cannot be changed"):
        await Provisioning(client, TAGS, sleep=never).create(table)


class Account:
    """What DynamoDB Local does not do: tags on two pages, tables that take time or are in use by others."""

    def __init__(self, *, statuses: list[str] | None = None, in_use: int = 0) -> None:
        self.tags: dict[str, str] = {"Owner": "anna"}
        self.statuses = statuses or []
        self.in_use = in_use

    async def describe_table(self, *, TableName: str) -> Answer:  # noqa: N803
        """Active, after a while."""
        status = self.statuses.pop(0) if self.statuses else "ACTIVE"
        return {
            "Table": {
                "TableArn": f"arn:{TableName}",
                "TableStatus": status,
                "KeySchema": [{"AttributeName": "rateKey"}],
                "AttributeDefinitions": [{"AttributeName": "rateKey", "AttributeType": "S"}],
                "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            }
        }

    async def describe_time_to_live(self, **_: object) -> Answer:
        """On."""
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLING", "AttributeName": "ttl"}}

    async def list_tags_of_resource(self, *, ResourceArn: str, NextToken: str = "") -> Answer:  # noqa: N803
        """One tag a page."""
        place = int(NextToken or 0)
        key = list(self.tags)[place]
        page: Answer = {"Tags": [{"Key": key, "Value": self.tags[key]}]}
        return {**page, "NextToken": str(place + 1)} if place + 1 < len(self.tags) else page

    async def tag_resource(self, *, ResourceArn: str, Tags: list[Mapping[str, str]]) -> None:  # noqa: N803
        """Keep them, unless somebody else is at it."""
        if self.in_use:
            self.in_use -= 1
            raise ClientError({"Error": {"Code": "ResourceInUseException"}}, "TagResource")
        self.tags |= {tag["Key"]: tag["Value"] for tag in Tags}


@pytest.mark.parametrize(
    "account",
    [Account, lambda: Account(statuses=["CREATING", "CREATING"]), lambda: Account(in_use=2)],
    ids=["plain", "slow", "in use"],
)
async def test_tagging(account: Callable[[], Account]) -> None:
    """Tags that are missing are added, the others stay, however long it takes."""
    made = account()
    provisioning = Provisioning(cast(Admin, made), TAGS, sleep=never)
    assert await provisioning.create(RATES) == ["tagged"]
    assert made.tags == {"Owner": "anna", "Application": "babelcast"}
    assert await provisioning.check(RATES) == []


class Growing(Account):
    """A table without indexes; it builds one at a time, which DynamoDB Local now and then never ends."""

    def __init__(self) -> None:
        super().__init__()
        self.tags = dict(TAGS)
        self.indexes: list[IndexPart] = []

    async def describe_table(self, *, TableName: str) -> Answer:  # noqa: N803
        """Shows each index once as not ready."""
        shown = [IndexPart(**index) for index in self.indexes]
        for index in self.indexes:
            index["IndexStatus"] = "ACTIVE"
        kinds = {"connectionId": "S"} | {
            part["AttributeName"]: CONNECTIONS.kinds()[part["AttributeName"]]
            for index in shown
            for part in index["KeySchema"]
        }
        return {
            "Table": {
                "TableArn": f"arn:{TableName}",
                "TableStatus": "ACTIVE",
                "KeySchema": [{"AttributeName": "connectionId"}],
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()
                ],
                "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
                "GlobalSecondaryIndexes": shown,
            }
        }

    async def update_table(
        self,
        *,
        TableName: str,  # noqa: N803
        AttributeDefinitions: list[dict[str, str]],  # noqa: N803
        GlobalSecondaryIndexUpdates: list[dict[str, IndexPart]],  # noqa: N803
    ) -> None:
        """Add an index, if all that is defined is a key, as AWS has it."""
        (update,) = GlobalSecondaryIndexUpdates
        assert all(index["IndexStatus"] == "ACTIVE" for index in self.indexes)
        self.indexes.append({**update["Create"], "IndexStatus": "CREATING"})
        keys = {part["AttributeName"] for index in self.indexes for part in index["KeySchema"]}
        assert {part["AttributeName"] for part in AttributeDefinitions} == {"connectionId", *keys}


async def test_adding_indexes() -> None:
    """Indexes are added one by one, each when the one before is ready."""
    growing = Growing()
    provisioning = Provisioning(cast(Admin, growing), TAGS, sleep=never)
    assert await provisioning.create(CONNECTIONS) == ["index added"] * 3
    assert await provisioning.check(CONNECTIONS) == []


async def test_a_table_that_is_never_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting has an end."""
    monkeypatch.setattr(provisioning_module, "READY_S", 0.01)
    account = Account(statuses=["CREATING"] * 100_000)
    with pytest.raises(StoreUnavailable, match="not ready"):
        await Provisioning(cast(Admin, account), TAGS, sleep=never).create(RATES)


class Denying:
    """An account in which nothing may be done."""

    async def describe_table(self, **_: object) -> Answer:
        """Not even this."""
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeTable")


async def test_what_may_not_be_done_is_not_hidden() -> None:
    """A missing right is no missing table."""
    with pytest.raises(ClientError):
        await Provisioning(cast(Admin, Denying()), TAGS, sleep=never).check(RATES)
