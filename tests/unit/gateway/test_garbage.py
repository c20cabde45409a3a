"""What the collector of cycles looks at while an audience comes and goes."""

import gc
from collections.abc import Iterator

import pytest

from gateway.garbage import FROZEN_EVERY, LEFT_AT_LEAST, YOUNG, Garbage, settle


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """The collector of the other tests."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_is_there_at_the_start_is_out_of_sight() -> None:
    """And young objects are looked at less often."""
    settle()
    assert gc.get_freeze_count() > 1_000
    assert gc.get_threshold()[0] == YOUNG


def test_an_audience_is_put_out_of_sight_as_it_comes() -> None:
    """Never more than a few hundred are looked at."""
    gc.unfreeze()
    garbage = Garbage()
    for _ in range(FROZEN_EVERY - 1):
        garbage.came()
    assert gc.get_freeze_count() == 0
    garbage.came()
    assert gc.get_freeze_count() > 0


def test_what_leavers_leave_behind_is_found() -> None:
    """When as many have left as are there, and not for a few."""
    garbage = Garbage()
    for _ in range(2 * LEFT_AT_LEAST):
        garbage.came()
    frozen = gc.get_freeze_count()
    for _ in range(LEFT_AT_LEAST - 1):
        garbage.left()
    assert gc.get_freeze_count() >= frozen > 0
    garbage.left()
    assert gc.get_freeze_count() == 0
