"""Rates: the promises of a token bucket, whatever the clock does."""

import math

from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import KeyedBuckets, TokenBucket

rates = st.floats(0.05, 100)
bursts = st.integers(1, 50)
steps = st.lists(st.floats(0, 5), max_size=100)


@given(rates, bursts, steps)
def test_never_more_than_burst_and_rate_allow(rate: float, burst: int, waits_s: list[float]) -> None:
    """Over any time from the start, at most burst + rate × time are granted."""
    bucket = TokenBucket.full(rate=rate, burst=burst, now_s=0)
    now_s, granted = 0.0, 0
    for wait_s in waits_s:
        now_s += wait_s
        granted += bucket.take(now_s) == 0.0
        assert granted <= burst + rate * now_s + 1e-6


@given(rates, bursts, steps)
def test_who_waits_as_told_is_served(rate: float, burst: int, waits_s: list[float]) -> None:
    """After the wait that a refusal names, the next try is granted."""
    bucket = TokenBucket.full(rate=rate, burst=burst, now_s=0)
    now_s = 0.0
    for wait_s in waits_s:
        now_s += wait_s
        refused_for_s = bucket.take(now_s)
        if refused_for_s:
            now_s = math.nextafter(now_s + refused_for_s + 1e-9, math.inf)
            assert bucket.take(now_s) == 0.0


@given(rates, bursts)
def test_a_full_burst_comes_at_once(rate: float, burst: int) -> None:
    """The burst is granted without any time passing, and then no more."""
    bucket = TokenBucket.full(rate=rate, burst=burst, now_s=7)
    assert [bucket.take(7) for _ in range(burst)] == [0.0] * burst
    assert bucket.take(7) > 0


@given(rates, bursts, st.lists(st.floats(-100, 100), max_size=50))
def test_a_clock_that_jumps_back_gives_nothing_away(rate: float, burst: int, times_s: list[float]) -> None:
    """Time that goes backwards adds no tokens, and the same time does not count twice."""
    bucket = TokenBucket.full(rate=rate, burst=burst, now_s=0)
    granted = sum(bucket.take(at_s) == 0.0 for at_s in times_s)
    assert granted <= burst + rate * max([0.0, *times_s]) + 1e-6


def test_keys_do_not_share() -> None:
    """One address that asks much takes nothing from another."""
    buckets = KeyedBuckets(rate=1, burst=1)
    assert buckets.take("a", 0) == 0
    assert buckets.take("a", 0) > 0
    assert buckets.take("b", 0) == 0


def test_the_key_seen_least_recently_is_forgotten() -> None:
    """Memory is bounded, at the cost of whoever was away longest."""
    buckets = KeyedBuckets(rate=0.001, burst=1, max_keys=2)
    for key in ("a", "b"):
        assert buckets.take(key, 0) == 0
    assert buckets.take("a", 0) > 0
    assert buckets.take("c", 0) == 0
    assert buckets.take("a", 0) > 0
    assert buckets.take("b", 0) == 0


def test_more_can_be_allowed_once() -> None:
    """Beyond the burst, for as long as it takes to use it, and not again."""
    bucket = TokenBucket.full(rate=10, burst=2, now_s=0)
    bucket.allow(5)
    assert [bucket.take(100) for _ in range(7)] == [0.0] * 7
    assert bucket.take(100) > 0
    assert [bucket.take(200) for _ in range(2)] == [0.0] * 2
    assert bucket.take(200) > 0
