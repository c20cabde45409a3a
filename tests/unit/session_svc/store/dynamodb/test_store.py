"""What is DynamoDB's alone; what every store does is in the contract suite."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum

from babelcast.errors import InvalidParameter
from babelcast.telemetry import instruments
from session_svc.model import (
    Audience,
    Broadcast,
    Controls,
    GlossaryTerm,
    Role,
    Seat,
    Session,
    Settings,
    Snapshot,
)
from session_svc.quotas import Quota
from session_svc.store.base import Change, Charge, Handover, Refused, SpeakerBusy, StoreUnavailable
from session_svc.store.dynamodb import DynamoDbStore
from session_svc.store.dynamodb import limits as limits_module
from session_svc.store.dynamodb import store as store_module
from session_svc.store.dynamodb.calls import Calls, Client
from session_svc.store.dynamodb.client import open_client
from session_svc.store.dynamodb.limits import Limits
from session_svc.store.dynamodb.provisioning import Provisioning
from session_svc.store.dynamodb.rows import ABANDONED_AFTER_S, session_item, speaker_key
from session_svc.store.dynamodb.tables import SEATS_BY_SESSION, TableNames, tables

NOW = 4_000_000_000_000
HOUR = 3_600_000
CODE = "golden-eagle-427"
SESSION = Session(CODE, "anna", "s", Settings("en"), Broadcast(NOW), NOW, NOW + 2 * HOUR, NOW + 2 * HOUR)
SPEAKER = Seat("s", CODE, Role.SPEAKER, b"s", NOW + 2 * HOUR)


def listener(connection_id: str) -> Seat:
    """A listener's seat."""
    return Seat(connection_id, CODE, Role.LISTENER, b"l", NOW + HOUR, target_language="es")


@dataclass
class Clock:
    """A clock that goes when told."""

    now_ms: int = NOW

    def __call__(self) -> int:
        """Now."""
        return self.now_ms


@pytest.fixture
async def client(dynamodb: TableNames) -> AsyncIterator[Client]:
    """A client of DynamoDB Local, with tables."""
    made, close = await open_client("eu-west-1")
    await asyncio.gather(*(Provisioning(made, {}).create(table) for table in tables(dynamodb)))
    yield made
    await close()


class Losing:
    """A client of which some answers are lost: the call is done, and its caller hears nothing."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.losses = 0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        async def call(**parameters: object) -> object:
            done = await getattr(self._client, name)(**parameters)
            if self.losses:
                self.losses -= 1
                raise ReadTimeoutError(endpoint_url="http://127.0.0.1:1")
            return done

        return call


@dataclass
class Conflicting:
    """A client that refuses writes to rows which another transaction has, as the real service does.

    DynamoDB Local lets transactions wait for each other instead. `busy` is shared by all replicas.
    """

    client: Client
    busy: set[str] = field(default_factory=set)
    conflicts: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        return getattr(self.client, name)  # type: ignore[no-any-return]

    async def transact_write_items(
        self,
        *,
        TransactItems: Sequence[Mapping[str, Mapping[str, object]]],  # noqa: N803
        ClientRequestToken: str,  # noqa: N803
        ReturnConsumedCapacity: str,  # noqa: N803
    ) -> object:
        """Take the rows, or refuse."""
        rows = [_row(entry) for item in TransactItems for entry in item.values()]
        taken = [row in self.busy for row in rows]
        if any(taken):
            self.conflicts[ClientRequestToken] += 1
            reasons = [{"Code": "TransactionConflict" if one else "None"} for one in taken]
            error = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(error, "TransactWriteItems")
        self.busy.update(rows)
        try:
            return await self.client.transact_write_items(
                TransactItems=TransactItems,
                ClientRequestToken=ClientRequestToken,
                ReturnConsumedCapacity=ReturnConsumedCapacity,
            )
        finally:
            self.busy.difference_update(rows)


def _row(entry: Mapping[str, object]) -> str:
    row = entry.get("Key") or entry["Item"]
    assert isinstance(row, Mapping)
    return f"{entry['TableName']}/{row.get('connectionId') or row.get('sessionId')}"


async def test_conflicts_of_replicas(client: Client, dynamodb: TableNames) -> None:
    """200 joins through eight replicas whose transactions conflict admit exactly 50, and none fails."""
    conflicting = Conflicting(client)
    replicas = [DynamoDbStore(Calls(cast(Client, conflicting)), dynamodb) for _ in range(8)]
    await replicas[0].create(SESSION, SPEAKER, now_ms=NOW)
    outcomes = await asyncio.gather(
        *(replicas[i % 8].join(listener(f"c{i}"), capacity=50, now_ms=NOW) for i in range(200)),
        return_exceptions=True,
    )
    kinds = Counter(type(outcome) for outcome in outcomes)
    assert kinds == {Snapshot: 50, Refused: 150}
    assert conflicting.conflicts
    found = await replicas[0].find(CODE)
    assert found is not None
    assert found.audience == Audience({"es": 50})


async def test_answers_that_are_lost(client: Client, dynamodb: TableNames) -> None:
    """Each change is made once and is told as made, also when the first answer never came."""
    losing = Losing(client)
    store = DynamoDbStore(Calls(cast(Client, losing)), dynamodb, clock=Clock())

    async def lost(change: Awaitable[object]) -> object:
        losing.losses = 1
        made = await change
        assert losing.losses == 0
        return made

    await lost(store.create(SESSION, SPEAKER, now_ms=NOW))
    await lost(store.join(listener("c1"), capacity=1, now_ms=NOW))
    found = await store.find(CODE)
    assert found is not None
    assert found.audience == Audience({"es": 1})
    change = await lost(store.update_broadcast(CODE, "s", Controls(is_muted=True), now_ms=NOW + 1))
    assert change == Change(replace(found, session=muted(found.session)), changed=True)
    ended = await lost(store.end(CODE, "s", "bye", now_ms=NOW))
    assert isinstance(ended, Snapshot)
    assert ended.session.ended
    with pytest.raises(Refused):
        await lost(store.end(CODE, "s", "bye", now_ms=NOW))


def muted(session: Session) -> Session:
    """The session after its speaker muted."""
    return replace(session, broadcast=Broadcast(NOW + 1, is_muted=True))


async def test_a_sweep_whose_answer_is_lost(client: Client, dynamodb: TableNames) -> None:
    """An end is reported by the sweep that made it, and by no other."""
    losing = Losing(client)
    store = DynamoDbStore(Calls(cast(Client, losing)), dynamodb, clock=Clock())
    await store.create(SESSION, SPEAKER, now_ms=NOW)
    update = losing.update_item

    async def losing_one(**parameters: object) -> object:
        losing.losses = 1
        vars(losing).pop("update_item")
        return await update(**parameters)

    vars(losing)["update_item"] = losing_one
    swept = await store.sweep(now_ms=NOW + 2 * HOUR, forget_before_ms=0)
    assert [session.session_id for session in swept.ended] == [CODE]
    assert (await store.sweep(now_ms=NOW + 2 * HOUR, forget_before_ms=0)).ended == ()


async def test_rows_past_their_time_are_not_there(client: Client, dynamodb: TableNames) -> None:
    """What DynamoDB will delete some day is gone for readers at its time."""
    clock = Clock()
    store = DynamoDbStore(Calls(client), dynamodb, clock=clock)
    await store.create(SESSION, SPEAKER, now_ms=NOW)
    clock.now_ms = NOW + 2 * HOUR + ABANDONED_AFTER_S * 1000 - 1
    assert await store.find(CODE) is not None
    assert await store.seat("s") is not None
    clock.now_ms += 1
    assert await store.find(CODE) is None
    assert await store.seat("s") is None


async def test_a_refreshed_session_lives_longer(client: Client, dynamodb: TableNames) -> None:
    """The time to live follows the end of the session."""
    clock = Clock()
    store = DynamoDbStore(Calls(client), dynamodb, clock=clock)
    await store.create(SESSION, SPEAKER, now_ms=NOW)
    seat = replace(SPEAKER, connection_id="s2", until_ms=NOW + 9 * HOUR)
    handover = Handover("s", SPEAKER.token_hash, seat, NOW + 9 * HOUR, capacity=1)
    await store.hand_over(handover, now_ms=NOW)
    clock.now_ms = NOW + 2 * HOUR + ABANDONED_AFTER_S * 1000
    assert await store.find(CODE) is not None
    assert await store.seat("s2") == seat


async def test_a_speakers_row_outlives_his_sessions(client: Client, dynamodb: TableNames) -> None:
    """A session that is refreshed keeps what notes it from expiring."""
    store = DynamoDbStore(Calls(client), dynamodb, clock=Clock())
    await store.create(SESSION, SPEAKER, at_most=1, now_ms=NOW)
    seat = replace(SPEAKER, connection_id="s2", until_ms=NOW + 99 * HOUR)
    await store.hand_over(Handover("s", b"s", seat, NOW + 99 * HOUR, capacity=1), now_ms=NOW)
    row = await Calls(client).get(dynamodb.sessions, speaker_key("anna"))
    assert row is not None
    assert int(row["ttl"]["N"]) == (NOW + 99 * HOUR) // 1000 + ABANDONED_AFTER_S
    other = replace(SESSION, session_id="silver-otter-100", speaker_connection_id="s3")
    with pytest.raises(SpeakerBusy):
        await store.create(
            other, replace(SPEAKER, session_id=other.session_id, connection_id="s3"), at_most=1, now_ms=NOW
        )


async def test_a_seat_without_a_session(client: Client, dynamodb: TableNames) -> None:
    """When DynamoDB deleted a session by its time, its seats count nowhere and are swept away."""
    store = DynamoDbStore(Calls(client), dynamodb, clock=Clock())
    for code, connection in ((CODE, "s"), ("silver-otter-100", "s2")):
        await store.create(
            replace(SESSION, session_id=code, speaker_connection_id=connection),
            replace(SPEAKER, session_id=code, connection_id=connection),
            now_ms=NOW,
        )
    for connection in ("c1", "c2", "c3"):
        await store.join(listener(connection), capacity=9, now_ms=NOW)
    await client.delete_item(TableName=dynamodb.sessions, Key={"sessionId": {"S": CODE}})  # type: ignore[attr-defined]
    assert await store.leave("c1", grace_until_ms=NOW, resumable_until_ms=NOW, now_ms=NOW) is None
    moved = replace(listener("c2"), session_id="silver-otter-100")
    snapshot = await store.join(moved, capacity=9, now_ms=NOW)
    assert snapshot.audience == Audience({"es": 1})
    await store.sweep(now_ms=NOW + HOUR, forget_before_ms=0)
    assert await store.seat("c3") is None


async def test_a_crowd_is_forgotten(client: Client, dynamodb: TableNames) -> None:
    """A session that is forgotten takes all its seats along, more than one transaction holds."""
    store = DynamoDbStore(Calls(client), dynamodb, clock=Clock())
    await store.create(SESSION, SPEAKER, now_ms=NOW)
    for i in range(120):
        await store.join(
            replace(listener(f"c{i}"), target_language=["es", "fr", "pt"][i % 3]), capacity=500, now_ms=NOW
        )
    await store.end(CODE, "s", "bye", now_ms=NOW)
    await asyncio.gather(*(store.sweep(now_ms=NOW + 1, forget_before_ms=NOW + 1) for _ in range(3)))
    await store.sweep(now_ms=NOW + 1, forget_before_ms=NOW + 1)
    assert await store.find(CODE) is None
    assert [await store.seat(f"c{i}") for i in range(0, 120, 17)] == [None] * 8


class Lagging:
    """A client whose index of seats by session knows nothing yet."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.lagging = True

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        return getattr(self._client, name)  # type: ignore[no-any-return]

    async def query(self, **parameters: object) -> object:
        """Nothing, for that index."""
        if self.lagging and parameters["IndexName"] == SEATS_BY_SESSION.name:
            return {"Items": []}
        return await self._client.query(**parameters)  # type: ignore[arg-type]


async def test_an_index_that_is_late(client: Client, dynamodb: TableNames) -> None:
    """A session whose seats cannot all be seen yet is forgotten later, since its code may be used again."""
    lagging = Lagging(client)
    store = DynamoDbStore(Calls(cast(Client, lagging)), dynamodb, clock=Clock())
    await store.create(SESSION, SPEAKER, now_ms=NOW)
    await store.join(listener("c1"), capacity=1, now_ms=NOW)
    await store.end(CODE, "s", "bye", now_ms=NOW)
    await store.sweep(now_ms=NOW + 1, forget_before_ms=NOW + 1)
    assert await store.find(CODE) is not None
    lagging.lagging = False
    await store.sweep(now_ms=NOW + 1, forget_before_ms=NOW + 1)
    assert await store.find(CODE) is None
    assert await store.seat("c1") is None


async def test_more_than_a_page_is_due(client: Client, dynamodb: TableNames) -> None:
    """What one sweep cannot do is due again in a moment, and is then done."""
    store = DynamoDbStore(Calls(client), dynamodb, clock=Clock())
    for i in range(101):
        await store.create(
            replace(SESSION, session_id=f"talk-{i}", speaker_connection_id=f"s{i}"),
            replace(SPEAKER, session_id=f"talk-{i}", connection_id=f"s{i}"),
            now_ms=NOW,
        )
    due = NOW + 2 * HOUR
    first = await store.sweep(now_ms=due, forget_before_ms=0)
    assert len(first.ended) == 100
    assert first.next_due_ms == due + 100
    second = await store.sweep(now_ms=due, forget_before_ms=0)
    assert len(second.ended) == 1
    assert second.next_due_ms is None


async def test_a_glossary_that_is_too_long() -> None:
    """A session that no row can hold is refused with the reason."""
    terms = tuple(GlossaryTerm(f"{i}", {f"x{j}": f"{hash((i, j))}" for j in range(200)}) for i in range(500))
    with pytest.raises(InvalidParameter):
        session_item(replace(SESSION, settings=Settings("en", glossary=terms)))


async def test_tables_that_are_missing(dynamodb: TableNames) -> None:
    """A store without tables says what to do."""
    with pytest.raises(StoreUnavailable, match=f"no table {dynamodb.sessions}: `babelcast tables create`"):
        await DynamoDbStore.open(dynamodb, region="eu-west-1")


async def test_an_unknown_region(dynamodb: TableNames, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot tell the region says so."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(StoreUnavailable, match="region"):
        await DynamoDbStore.open(dynamodb)


async def test_a_store_that_nobody_answers(dynamodb: TableNames, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is a store that is unavailable."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        await DynamoDbStore.open(dynamodb, region="eu-west-1")


class Silent:
    """A client that never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def get_item(self, **_: object) -> object:
        """Wait for ever."""
        self.asked.set()
        return await asyncio.Event().wait()

    update_item = get_item
    query = get_item


CHARGE = Charge("k", "joins", Quota(1, 1))


def points(reader: InMemoryMetricReader) -> dict[object, float]:
    """What a counter counted, by limit."""
    data = reader.get_metrics_data()
    assert data is not None
    metrics = [m for r in data.resource_metrics for scope in r.scope_metrics for m in scope.metrics]
    return {
        (point.attributes or {})[instruments.LIMIT]: point.value
        for metric in metrics
        if isinstance(metric.data, Sum)
        for point in metric.data.data_points
    }


async def test_a_limiter_that_is_down(
    client: Client,
    dynamodb: TableNames,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Everybody is let in without the table of limits, which is counted and said without the key."""
    reader = InMemoryMetricReader()
    counter = MeterProvider([reader]).get_meter("test").create_counter("skipped")
    monkeypatch.setattr(instruments, "RATE_LIMITS_SKIPPED", counter)
    store = DynamoDbStore(Calls(client), replace(dynamodb, rate_limits="nowhere"), clock=Clock())
    await store.create(SESSION, SPEAKER, charge=Charge("secret", "sessions", Quota(1, 1)), now_ms=NOW)
    for number in range(2):
        charge = Charge("secret", "joins", Quota(1, HOUR))
        await store.join(listener(f"c{number}"), capacity=9, charge=charge, now_ms=NOW)
    assert points(reader) == {"sessions": 1, "joins": 2}
    said = [record for record in caplog.records if record.message == "a rate limit could not be asked for"]
    assert len(said) == 3
    assert "secret" not in str([vars(record) for record in said])


async def test_a_limiter_has_less_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits take less patience than the operation that they belong to."""
    monkeypatch.setattr(limits_module, "TAKE_S", 0.01)
    limits = Limits(Calls(cast(Client, Silent())), TableNames())
    await limits.pay(CHARGE, NOW)


async def test_an_operation_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends as unavailable."""
    monkeypatch.setattr(store_module, "SWEEP_S", 0.01)
    store = DynamoDbStore(Calls(cast(Client, Silent())), TableNames())
    with pytest.raises(StoreUnavailable):
        await store.connections_of("g1")


async def test_an_overloaded_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """More operations than there is room for are refused at once, and closing waits for those there are."""
    monkeypatch.setattr(store_module, "CAPACITY", 1)
    silent = Silent()
    store = DynamoDbStore(Calls(cast(Client, silent)), TableNames())
    first = asyncio.create_task(store.find(CODE))
    await silent.asked.wait()
    with pytest.raises(StoreUnavailable):
        await store.find(CODE)
    closing = asyncio.create_task(store.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    first.cancel()
    await closing


class Stubborn:
    """A client for which no condition ever holds, and no row is ever there."""

    async def get_item(self, **_: object) -> dict[str, object]:
        """Nothing."""
        return {}

    async def transact_write_items(self, *, TransactItems: Sequence[object], **_: object) -> object:  # noqa: N803
        """Refuse the last."""
        codes = ["None"] * (len(TransactItems) - 1) + ["ConditionalCheckFailed"]
        reasons = [{"Code": code} for code in codes]
        error = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
        raise ClientError(error, "TransactWriteItems")

    async def update_item(self, **_: object) -> object:
        """Refuse."""
        raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")


async def test_operations_that_are_always_overtaken() -> None:
    """An operation that looks again and again gives up in the end."""
    store = DynamoDbStore(Calls(cast(Client, Stubborn())), TableNames())
    for operation in (
        store.create(SESSION, SPEAKER, now_ms=NOW),
        store.join(listener("c1"), capacity=1, now_ms=NOW),
        store.create(SESSION, SPEAKER, at_most=1, now_ms=NOW),
    ):
        with pytest.raises(StoreUnavailable, match="Too many changes"):
            await operation
