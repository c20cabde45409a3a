"""Durations in buckets."""

import math

from hypothesis import given
from hypothesis import strategies as st

from bench.load.histogram import STEPS, Histogram
from bench.load.loops import percentile

TIMES = st.lists(st.floats(0.02, 1e8), min_size=1, max_size=50)


@given(TIMES, st.floats(0, 1))
def test_percentiles_are_within_the_stated_error(times: list[float], share: float) -> None:
    """They are those of the values, but for 1 / (2 * STEPS)."""
    histogram = Histogram()
    for value in times:
        histogram.add(value)
    exact = percentile(times, share)
    assert abs(histogram.percentile(share) - exact) <= exact / (2 * STEPS) * 1.001
    assert histogram.percentile(1.0) == max(times)


@given(TIMES, TIMES)
def test_a_merge_is_as_if_counted_together(one: list[float], other: list[float]) -> None:
    """Whoever counted."""
    first, second, both = Histogram(), Histogram(), Histogram()
    for value in one:
        first.add(value)
        both.add(value)
    for value in other:
        second.add(value)
        both.add(value)
    first.merge(second)
    assert (first.counts, first.count, first.most_ms) == (both.counts, both.count, both.most_ms)


def test_nothing_and_clocks_that_differ() -> None:
    """No values have no percentile; times below nothing count as nothing."""
    histogram = Histogram()
    assert math.isnan(histogram.percentile(0.5))
    histogram.add(-3.0)
    histogram.add(0.0, times=2)
    histogram.add(8.0)
    assert histogram.cuts() == [0.0, 8.0, 8.0, 8.0]
