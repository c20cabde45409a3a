"""The error tree."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast import errors
from babelcast.errors import (
    BabelcastError,
    ErrorCode,
    InvalidAction,
    MaxSessionsExceeded,
    RateLimitExceeded,
    RemoteError,
    ServiceUnavailable,
)

# The protocol's table of codes, by the HTTP status that each corresponds to.
PROTOCOL = {
    400: "MISSING_ACTION INVALID_MESSAGE INVALID_ACTION MISSING_PARAMETER INVALID_PARAMETER"
    " INVALID_SESSION_ID INVALID_LANGUAGE INVALID_AUDIO_FORMAT INVALID_CONFIGURATION UNSUPPORTED_LANGUAGE",
    401: "UNAUTHORIZED TOKEN_EXPIRED",
    403: "UNAUTHORIZED_ACTION FORBIDDEN",
    404: "SESSION_NOT_FOUND",
    409: "CONFLICT",
    410: "SESSION_ENDED",
    413: "AUDIO_CHUNK_TOO_LARGE MESSAGE_TOO_LARGE",
    429: "RATE_LIMIT_EXCEEDED MAX_SESSIONS_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "SESSION_FULL SERVICE_UNAVAILABLE",
}
CLASSES = sorted(
    (
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, BabelcastError)
        and kind not in {BabelcastError, RemoteError}
    ),
    key=lambda kind: kind.__name__,
)


def test_the_codes_are_the_protocols() -> None:
    """No code is missing, and none is made up."""
    assert {code for codes in PROTOCOL.values() for code in codes.split()} == set(ErrorCode)
    assert {kind.code for kind in CLASSES} == set(ErrorCode)


@pytest.mark.parametrize("kind", CLASSES)
def test_names_follow_codes(kind: type[BabelcastError]) -> None:
    """A class is called as its code is; two are finer kinds of ServiceUnavailable."""
    name = "ServiceUnavailable" if issubclass(kind, errors.ServiceUnavailable) else kind.__name__
    assert "".join(word.capitalize() for word in kind.code.split("_")) == name


@pytest.mark.parametrize("kind", CLASSES)
def test_retries_are_for_what_may_pass(kind: type[BabelcastError]) -> None:
    """Only what is unavailable travels under the status that clients retry."""
    assert (kind.status is grpc.StatusCode.UNAVAILABLE) == (
        kind in (errors.ServiceUnavailable, errors.Moving)
    )
    assert kind.status is not grpc.StatusCode.OK


def test_what_clients_send_is_cut() -> None:
    """An endless action does not come back endless."""
    assert len(InvalidAction("x" * 10_000).message) < 100


def test_waits_are_told_in_seconds() -> None:
    """A wait is rounded to milliseconds, the finest that means anything."""
    assert RateLimitExceeded("calls", retry_after_s=1.23456).details == {"retryAfter": 1.235}
    assert str(RateLimitExceeded("calls", retry_after_s=1)) == "Too many calls."


@given(st.floats(min_value=0, max_value=1e5))
def test_a_wait_is_never_rounded_down(wait_s: float) -> None:
    """Whoever waits as long as told is served: to the next ms, as clocks go."""
    for error in (
        RateLimitExceeded("messages", retry_after_s=wait_s),
        MaxSessionsExceeded(limit=1, retry_after_s=wait_s),
        ServiceUnavailable("Later.", retry_after_s=wait_s),
    ):
        told_s = error.details["retryAfter"]
        assert isinstance(told_s, float)
        assert wait_s - 1e-6 <= told_s <= wait_s + 0.001


def test_a_whole_wait_stays_whole() -> None:
    """What a sum of fractions of it comes to is no ms more."""
    assert RateLimitExceeded("messages", retry_after_s=60 * 0.1).details["retryAfter"] == 6.0
    assert RateLimitExceeded("messages", retry_after_s=6.000000000000001).details["retryAfter"] == 6.0
