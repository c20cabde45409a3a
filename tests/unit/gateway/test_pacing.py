"""The newest, at a pace."""

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.pacing import Newest, Pace


@given(st.lists(st.floats(0, 2), max_size=50), st.floats(0.1, 1))
def test_no_two_go_closer_than_the_interval(gaps_s: list[float], interval_s: float) -> None:
    """Whenever somebody asks."""
    pace, now_s, went_s = Pace(interval_s), 0.0, list[float]()
    for gap_s in gaps_s:
        now_s += gap_s
        if pace.wait_s(now_s) == 0:
            pace.went(now_s)
            went_s.append(now_s)
    assert all(later - earlier >= interval_s - 1e-9 for earlier, later in itertools.pairwise(went_s))


async def test_the_first_goes_at_once_and_of_those_that_wait_the_newest() -> None:
    """What it replaced is gone."""
    newest = Newest[int](0.01)
    newest.put(1)
    assert await newest.take() == 1
    newest.put(2)
    newest.put(3)
    assert await newest.take() == 3


async def test_an_item_waits_for_its_time() -> None:
    """By the clock that was given."""
    clock = [0.0]
    newest = Newest[int](0.5, clock=lambda: clock[0])
    newest.put(1)
    assert await newest.take() == 1
    newest.put(2)
    taking = asyncio.create_task(newest.take())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taking.done()
    taking.cancel()
    clock[0] = 0.5
    assert await newest.take() == 2


async def test_what_was_cleared_is_not_taken() -> None:
    """The next one is."""
    newest = Newest[int](0.01)
    newest.put(1)
    taking = asyncio.create_task(newest.take())
    newest.clear()
    await asyncio.sleep(0)
    assert not taking.done()
    newest.put(2)
    assert await taking == 2
