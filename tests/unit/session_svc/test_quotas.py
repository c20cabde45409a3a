"""Rate limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_svc.quotas import Quota, take

quotas = st.builds(Quota, limit=st.integers(1, 100), window_ms=st.integers(1, 100_000))


def test_a_burst_and_then_a_trickle() -> None:
    """Fifty an hour is fifty at once, and then one every 72 s."""
    quota, state = Quota(50, 3_600_000), 0
    for _ in range(50):
        verdict = take(quota, state, now_ms=10_000)
        assert verdict.granted
        state = verdict.full_at_us
    refused = take(quota, state, now_ms=10_000)
    assert not refused.granted
    assert refused.retry_after_s == 72.0
    assert take(quota, state, now_ms=82_000).granted
    assert not take(quota, state, now_ms=81_999).granted


@given(quota=quotas, gaps_ms=st.lists(st.integers(0, 20_000), max_size=200))
def test_never_too_many(quota: Quota, gaps_ms: list[int]) -> None:
    """In no stretch of time are more granted than the limit and what refills in it."""
    granted: list[int] = []
    state, now_ms = 0, 0
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        verdict = take(quota, state, now_ms=now_ms)
        state = verdict.full_at_us
        if verdict.granted:
            granted.append(now_ms)
    for first, start_ms in enumerate(granted):
        for last in range(first, len(granted)):
            stretch_ms = granted[last] - start_ms
            assert (last - first + 1) <= quota.limit + stretch_ms * quota.limit / quota.window_ms + 1e-9


@given(quota=quotas, taken=st.integers(0, 300), now_ms=st.integers(0, 2_000_000_000_000))
def test_retry_after_is_right(quota: Quota, taken: int, now_ms: int) -> None:
    """Waiting as told is enough, and a millisecond less is not."""
    state = 0
    for _ in range(min(taken, quota.limit)):
        state = take(quota, state, now_ms=now_ms).full_at_us
    verdict = take(quota, state, now_ms=now_ms)
    assert verdict.granted == (taken < quota.limit)
    if not verdict.granted:
        wait_ms = round(verdict.retry_after_s * 1000)
        assert 0 < wait_ms <= quota.window_ms + 1
        assert take(quota, verdict.full_at_us, now_ms=now_ms + wait_ms).granted
        assert not take(quota, verdict.full_at_us, now_ms=now_ms + wait_ms - 1).granted


@given(quota=quotas, now_ms=st.integers(0, 1_000_000))
def test_a_clock_that_goes_back_locks_nobody_out(quota: Quota, now_ms: int) -> None:
    """A state from the future is an empty bucket, not a closed door."""
    verdict = take(quota, (now_ms + 10**9) * 1000, now_ms=now_ms)
    assert not verdict.granted
    assert verdict.retry_after_s * 1000 <= quota.window_ms + 1


@pytest.mark.parametrize(("limit", "window_ms"), [(0, 1), (1, 0), (-1, 1)])
def test_a_quota_allows_something(limit: int, window_ms: int) -> None:
    """A limit of nothing is a mistake in the configuration."""
    with pytest.raises(ValueError, match="at least one"):
        Quota(limit, window_ms)
