"""Calls that fail, with a client that fails as told: what a real DynamoDB does not do on demand."""

from collections.abc import Callable, Sequence
from typing import cast

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from babelcast.backoff import Backoff
from session_svc.store.base import StoreUnavailable
from session_svc.store.dynamodb.calls import Calls, Client, Write
from session_svc.store.dynamodb.faults import (
    BUSY_BACKOFF,
    CONFLICT_BACKOFF,
    ConditionFailed,
    Fault,
    diagnose,
)
from session_svc.store.dynamodb.outage import Outage
from session_svc.store.dynamodb.rows import Item
from session_svc.store.dynamodb.store import OPERATION_S
from tests.measured import Measured

ADDRESS = "http://127.0.0.1:1"
WRITE = Write(
    "Update", "T", {"k": {"S": "x"}}, "#a = :a", {"a": {"S": "1"}, "spare": {"S": "2"}}, "SET #a = :a"
)
ROW: Item = {"k": {"S": "x"}}


def said(code: str, *, status: int = 400, reasons: Sequence[str] = ()) -> ClientError:
    """An error as DynamoDB says it."""
    response = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(response, "TransactWriteItems")


BUSY = said("ProvisionedThroughputExceededException")
CONFLICT = said("TransactionCanceledException", reasons=["None", "TransactionConflict"])
UNANSWERED = ReadTimeoutError(endpoint_url=ADDRESS)
CONDITION = said("ConditionalCheckFailedException")


class Failing:
    """A client whose calls fail in turn, and work after that."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tokens: list[str] = []

    async def get_item(self, **_: object) -> dict[str, object]:
        """A row."""
        self._fail()
        return {"Item": ROW}

    async def update_item(self, **_: object) -> dict[str, object]:
        """A row after its change."""
        self._fail()
        return {"Attributes": ROW}

    async def transact_write_items(self, *, ClientRequestToken: str, **_: object) -> dict[str, object]:  # noqa: N803
        """Keep the token."""
        self.tokens.append(ClientRequestToken)
        self._fail()
        return {"ConsumedCapacity": [{"TableName": "seats", "CapacityUnits": 4.0}]}

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


class Rig:
    """Calls to such a client, and how long they slept."""

    def __init__(self, *errors: Exception) -> None:
        self.client = Failing(*errors)
        self.slept_s: list[float] = []
        self.calls = Calls(cast(Client, self.client), sleep=self._sleep, chance=lambda: 1.0)

    async def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (BUSY, Fault.BUSY),
        (said("ThrottlingException"), Fault.BUSY),
        (said("RequestLimitExceeded"), Fault.BUSY),
        (said("TransactionConflictException"), Fault.CONFLICT),
        (said("TransactionInProgressException"), Fault.CONFLICT),
        (said("InternalServerError", status=500), Fault.UNSURE),
        (said("Whatever", status=503), Fault.UNSURE),
        (said("ResourceNotFoundException"), Fault.BROKEN),
        (said("AccessDeniedException"), Fault.BROKEN),
        (said("ValidationException"), Fault.BROKEN),
        (CONFLICT, Fault.CONFLICT),
        (
            said("TransactionCanceledException", reasons=["ThrottlingError", "TransactionConflict"]),
            Fault.BUSY,
        ),
        (said("TransactionCanceledException", reasons=["ValidationError", "ThrottlingError"]), Fault.BROKEN),
        (said("TransactionCanceledException"), Fault.BROKEN),
        (ConnectTimeoutError(endpoint_url=ADDRESS), Fault.BUSY),
        (EndpointConnectionError(endpoint_url=ADDRESS), Fault.BUSY),
        (UNANSWERED, Fault.UNSURE),
        (NoCredentialsError(), Fault.BROKEN),
    ],
    ids=repr,
)
def test_what_an_error_means(error: ClientError | BotoCoreError, fault: Fault) -> None:
    """Errors are told apart by whether the call may be repeated, and whether it may have been done."""
    assert diagnose(error) is fault


def test_a_condition_decides_over_a_conflict() -> None:
    """A transaction with a condition that failed is not tried again, and says which it was."""
    reasons = ["TransactionConflict", "None", "ConditionalCheckFailed"]
    found = diagnose(said("TransactionCanceledException", reasons=reasons))
    assert isinstance(found, ConditionFailed)
    assert found.rows == (None, None, {})


@pytest.mark.parametrize("error", [BUSY, UNANSWERED])
async def test_busy_calls_are_repeated_three_times(error: Exception) -> None:
    """Three failures are overcome, with growing waits; the fourth is the caller's."""
    rig = Rig(error, error, error)
    assert await rig.calls.get("T", ROW) == ROW
    assert rig.slept_s == [0.05, 0.1, 0.2]
    rig = Rig(error, error, error, error)
    with pytest.raises(StoreUnavailable) as failed:
        await rig.calls.get("T", ROW)
    assert failed.value.__cause__ is error


async def test_during_an_outage_nothing_is_tried() -> None:
    """Once nothing has been answered for a while, calls fail at once; what DynamoDB refuses is an answer."""
    rig = Rig(*[UNANSWERED] * 8)
    outage = Outage(clock=lambda: sum(rig.slept_s) * 10)
    calls = Calls(cast(Client, rig.client), sleep=rig._sleep, chance=lambda: 1.0, outage=outage)
    with pytest.raises(StoreUnavailable):
        await calls.get("T", ROW)
    assert len(rig.client.errors) == 4
    with pytest.raises(StoreUnavailable):
        await calls.get("T", ROW)
    assert len(rig.client.errors) == 4
    rig.slept_s.append(1.0)
    rig.client.errors = [said("ResourceNotFoundException")]
    with pytest.raises(StoreUnavailable):
        await calls.get("T", ROW)
    assert await calls.get("T", ROW) == ROW


async def test_conflicts_are_repeated_more_often() -> None:
    """As many conflicts as are allowed are overcome, in little time; the next is the caller's."""
    rig = Rig(*[CONFLICT] * CONFLICT_BACKOFF.retries)
    await rig.calls.transact(WRITE)
    assert sum(rig.slept_s) < OPERATION_S
    rig = Rig(*[CONFLICT] * (CONFLICT_BACKOFF.retries + 1))
    with pytest.raises(StoreUnavailable):
        await rig.calls.transact(WRITE)


async def test_a_transaction_keeps_its_token() -> None:
    """A transaction that is repeated cannot be done twice; another one is another."""
    rig = Rig(UNANSWERED, BUSY)
    await rig.calls.transact(WRITE)
    await rig.calls.transact(WRITE)
    assert len(rig.client.tokens) == 4
    assert len(set(rig.client.tokens)) == 2
    assert len(set(rig.client.tokens[:3])) == 1


async def test_hopeless_calls_are_not_repeated() -> None:
    """A missing table fails at once."""
    rig = Rig(said("ResourceNotFoundException"))
    with pytest.raises(StoreUnavailable):
        await rig.calls.get("T", ROW)
    assert rig.slept_s == []


@pytest.mark.parametrize(("before", "unsure"), [([], False), ([BUSY], False), ([UNANSWERED, BUSY], True)])
async def test_a_condition_after_silence_is_in_doubt(before: list[Exception], unsure: bool) -> None:
    """A condition that fails after an attempt without an answer may have been spoilt by that attempt."""
    rig = Rig(*before, CONDITION)
    with pytest.raises(ConditionFailed) as failed:
        await rig.calls.update(WRITE)
    assert failed.value.unsure is unsure


@pytest.mark.parametrize("chance", [lambda: 0.0, lambda: 0.5, lambda: 1.0])
def test_backoff_is_jittered_and_bounded(chance: Callable[[], float]) -> None:
    """A wait is anything from none to the bound of its turn."""
    backoff = Backoff(retries=9, base_s=0.1, cap_s=1.0)
    assert [backoff.delay_s(retry, chance) for retry in (0, 1, 9)] == [
        pytest.approx(chance() * bound) for bound in (0.1, 0.2, 1.0)
    ]
    assert BUSY_BACKOFF.retries == 3


def test_a_write_names_what_it_uses() -> None:
    """Names and values are those of its expressions, as DynamoDB demands."""
    assert WRITE.names == {"#a": "a"}
    assert WRITE.used_values == {":a": {"S": "1"}}


async def test_capacity_and_throttling_are_counted(measured: Measured) -> None:
    """What DynamoDB charges is counted by table, and every call that it turned away for its rate."""
    throttled = said("TransactionCanceledException", reasons=["None", "ThrottlingError"])
    rig = Rig(throttled, BUSY, CONFLICT)
    await rig.calls.transact(WRITE)
    assert measured.total("babelcast.store.throttled", operation="TransactWriteItems") == 2
    assert measured.total("babelcast.store.consumed_capacity", table="seats") == 4
