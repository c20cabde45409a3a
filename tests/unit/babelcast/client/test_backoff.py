"""Waits between reconnections."""

from itertools import islice
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from babelcast.client import backoff


@given(st.integers(0, 2**32), st.floats(0.01, 1), st.floats(1, 10))
def test_waits_stay_under_a_doubling_ceiling(seed: int, base_s: float, cap_s: float) -> None:
    """The n-th wait is between nothing and base times two to the n, never above the cap."""
    waits = islice(backoff.delays(base_s=base_s, cap_s=cap_s, random=Random(seed)), 12)
    for number, wait_s in enumerate(waits):
        assert 0 <= wait_s <= min(cap_s, base_s * 2**number)


def test_two_clients_do_not_wait_alike() -> None:
    """Jitter spreads those who lost the same gateway."""
    first, second = (
        list(islice(backoff.delays(base_s=1, cap_s=8, random=Random(seed)), 5)) for seed in (1, 2)
    )
    assert first != second
