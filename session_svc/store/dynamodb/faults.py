"""What can go wrong with a call, and what to do about it."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
)

from babelcast.backoff import Backoff
from session_svc.store.dynamodb.rows import Item

CONDITION_FAILED: Final = "ConditionalCheckFailed"
_SERVER_ERROR = 500


class Fault(Enum):
    """Kinds of failed calls."""

    BUSY = auto()
    """Turned away: nothing was done, it may work in a moment."""
    CONFLICT = auto()
    """Another transaction had one of the rows: nothing was done, it works as soon as that one is done."""
    UNSURE = auto()
    """No answer, or a server's fault: it may have been done."""
    BROKEN = auto()
    """Missing table, missing right, wrong call: waiting does not help."""


class ConditionFailed(Exception):
    """A condition did not hold, so nothing was changed.

    `rows` has one entry for each write: the row that stood against its condition, empty for one that was not
    there, and None where the condition held. With `unsure`, an earlier attempt had no answer and may be what
    changed the row.
    """

    def __init__(self, rows: tuple[Item | None, ...], *, unsure: bool = False) -> None:
        super().__init__("a condition did not hold")
        self.rows = rows
        self.unsure = unsure


BUSY_BACKOFF: Final = Backoff(retries=3, base_s=0.05, cap_s=1.0)
# A conflict lasts as long as the other transaction, some ms: it is tried again soon, and often, since in a
# crowd that joins through several replicas most attempts find the row taken. Measured with eight replicas and
# 200 joins at once: two conflicts a join on average, at most 32 for one of them. All waits sum up to 6 s.
CONFLICT_BACKOFF: Final = Backoff(retries=60, base_s=0.01, cap_s=0.1)

_CODES: Mapping[str, Fault] = {
    "ProvisionedThroughputExceededException": Fault.BUSY,
    "RequestLimitExceeded": Fault.BUSY,
    "ThrottlingException": Fault.BUSY,
    "Throttling": Fault.BUSY,
    "ThrottlingError": Fault.BUSY,
    "ProvisionedThroughputExceeded": Fault.BUSY,
    "TransactionConflictException": Fault.CONFLICT,
    "TransactionConflict": Fault.CONFLICT,
    "TransactionInProgressException": Fault.CONFLICT,
    "InternalServerError": Fault.UNSURE,
    "InternalFailure": Fault.UNSURE,
    "ServiceUnavailable": Fault.UNSURE,
}


def diagnose(error: ClientError | BotoCoreError) -> Fault | ConditionFailed:
    """What a failed call means."""
    if isinstance(error, ClientError):
        return _answered(error)
    if isinstance(error, ConnectTimeoutError | EndpointConnectionError):
        return Fault.BUSY
    if isinstance(error, HTTPClientError):
        return Fault.UNSURE
    return Fault.BROKEN


def is_throttled(error: ClientError | BotoCoreError) -> bool:
    """Whether a call was turned away for its rate; of a transaction, any part of it."""
    if not isinstance(error, ClientError):
        return False
    reasons = error.response.get("CancellationReasons", [])
    codes = [code_of(error), *(str(reason.get("Code")) for reason in reasons)]
    return any(_CODES.get(code) is Fault.BUSY for code in codes)


def code_of(error: ClientError | BotoCoreError) -> str:
    """The name of the error, for the log."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))
    return type(error).__name__


def _answered(error: ClientError) -> Fault | ConditionFailed:
    code = code_of(error)
    if code == "ConditionalCheckFailedException":
        return ConditionFailed((error.response.get("Item", {}),))
    if code == "TransactionCanceledException":
        return _canceled(error)
    if code in _CODES:
        return _CODES[code]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return Fault.UNSURE if status >= _SERVER_ERROR else Fault.BROKEN


def _canceled(error: ClientError) -> Fault | ConditionFailed:
    """Why a transaction was not done: a condition that failed decides, then what may pass soonest."""
    reasons = error.response.get("CancellationReasons", [])
    codes = [reason.get("Code", "None") for reason in reasons]
    if CONDITION_FAILED in codes:
        return ConditionFailed(
            tuple(
                reason.get("Item", {}) if code == CONDITION_FAILED else None
                for reason, code in zip(reasons, codes, strict=True)
            )
        )
    faults = {_CODES.get(code, Fault.BROKEN) for code in codes if code != "None"}
    for fault in (Fault.BROKEN, Fault.BUSY, Fault.CONFLICT):
        if fault in faults:
            return fault
    return Fault.BROKEN
