"""How often an address may get codes wrong."""

import contextlib

import pytest

from babelcast.errors import (
    BabelcastError,
    RateLimitExceeded,
    ServiceUnavailable,
    SessionNotFound,
    Unauthorized,
)
from gateway.guessing import Guesses


def wrong(guesses: Guesses, address: str, now_s: float, error: BabelcastError | None = None) -> None:
    """Look for what is not there."""
    with guesses.looking(address, now_s):
        raise error or SessionNotFound("golden-eagle-427")


def test_wrong_codes_run_out_and_come_back() -> None:
    """For that address alone; then what is right is not looked up either."""
    guesses = Guesses(per_min=3)
    for error in (SessionNotFound("x"), Unauthorized("x"), SessionNotFound("x")):
        with pytest.raises(type(error)):
            wrong(guesses, "here", 0.0, error)
    with pytest.raises(RateLimitExceeded) as refused, guesses.looking("here", 0.0):
        pytest.fail("it was looked up")
    assert refused.value.details["retryAfter"] == 20
    with guesses.looking("elsewhere", 0.0):
        pass
    with guesses.looking("here", 20.0):
        pass


def test_what_is_right_and_what_is_our_fault_cost_nothing() -> None:
    """A hall behind one address joins at once, and an outage locks nobody out."""
    guesses = Guesses(per_min=1)
    for _ in range(100):
        with guesses.looking("hall", 0.0):
            pass
        with contextlib.suppress(ServiceUnavailable):
            wrong(guesses, "hall", 0.0, ServiceUnavailable("Away."))
    with pytest.raises(SessionNotFound):
        wrong(guesses, "hall", 0.0)
    with pytest.raises(RateLimitExceeded):
        wrong(guesses, "hall", 0.0)


def test_what_is_under_way_at_once_is_paid_for() -> None:
    """Many connections get no more wrong than one does, and nobody waits for hours."""
    guesses, found = Guesses(per_min=60), 0
    for now_s in range(600):
        at_once = sum(guesses.wait_s("here", float(now_s)) == 0 for _ in range(30))
        for _ in range(at_once):
            guesses.wrong("here", float(now_s))
        found += at_once
    assert 600 <= found <= 60 + 600 + 30
    for _ in range(1_000):
        guesses.wrong("hall", 0.0)
    assert guesses.wait_s("hall", 0.0) == pytest.approx(61)
