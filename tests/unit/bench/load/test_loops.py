"""Loads and what is counted of them."""

import math
import random
import time

from bench.load import loops


def test_percentiles_are_by_nearest_rank() -> None:
    """Every percentile is a value that was measured."""
    values = [float(value) for value in range(100, 0, -1)]
    assert [loops.percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert loops.percentile([7.0], 0.5) == 7
    assert math.isnan(loops.percentile([], 0.99))


def test_arrivals_come_at_their_rate() -> None:
    """In order, within the time, and on average as many as asked for."""
    moments = list(loops.arrivals(rate=1000, seconds=10, chance=random.Random(1)))
    assert moments == sorted(moments)
    assert 0 < moments[0] < moments[-1] < 10
    assert 9_500 < len(moments) < 10_500


async def test_an_open_loop_counts_what_a_pause_held_up() -> None:
    """Calls that were due during a pause are as late as the pause made them, though each was quick."""
    paused = False

    async def call() -> None:
        nonlocal paused
        if not paused:
            paused = True
            time.sleep(0.1)  # noqa: ASYNC251 - the pause

    outcome = await loops.open_loop(call, rate=1000, seconds=0.05, at_most=4, chance=random.Random(1))
    assert len(outcome.latencies_ms) > 20
    assert min(outcome.latencies_ms) > 40


async def test_failures_are_counted_apart() -> None:
    """By their kind, and not as latencies."""

    async def call() -> None:
        raise KeyError

    outcome = await loops.bursts(call, callers=3, every_s=1, seconds=0.000_001)
    assert (outcome.failures, outcome.latencies_ms) == ({"KeyError": 3}, [])
