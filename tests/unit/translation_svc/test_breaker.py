"""What does not work is left alone."""

from hypothesis import given
from hypothesis import strategies as st

from translation_svc.breaker import FAILURES_BEFORE_REST, LONGEST_REST_S, Breaker


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _broken(clock: Clock) -> Breaker:
    breaker = Breaker(clock=clock)
    began = [breaker.failed() for _ in range(FAILURES_BEFORE_REST)]
    assert began == [False, False, True]
    return breaker


def test_three_failures_in_a_row_begin_a_rest() -> None:
    """A success in between begins the count again."""
    breaker = Breaker()
    for _ in range(5):
        assert not breaker.failed()
        assert not breaker.failed()
        assert not breaker.succeeded()
    assert breaker.admits()


def test_after_the_rest_one_is_let_in() -> None:
    """Its success ends the rest for all."""
    clock = Clock()
    breaker = _broken(clock)
    assert not breaker.admits()
    clock.now_s = 1.0
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    assert breaker.succeeded()
    assert breaker.admits()


def test_each_failed_attempt_doubles_the_rest() -> None:
    """Up to a minute."""
    clock = Clock()
    breaker = _broken(clock)
    rests = []
    for _ in range(9):
        began = clock.now_s
        while not breaker.admits():
            clock.now_s += 0.5
        rests.append(clock.now_s - began)
        breaker.failed()
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_stragglers_do_not_lengthen_the_rest() -> None:
    """Sixty calls that were under way when it began may all fail."""
    clock = Clock()
    breaker = _broken(clock)
    assert not any(breaker.failed() for _ in range(60))
    clock.now_s = 1.0
    assert breaker.admits()


def test_an_attempt_that_never_tells_is_followed_by_another() -> None:
    """After as long again."""
    clock = Clock()
    breaker = _broken(clock)
    clock.now_s = 1.0
    assert breaker.admits()
    clock.now_s = 2.0
    assert breaker.admits()


@given(st.lists(st.one_of(st.booleans(), st.floats(0, 30)), max_size=60))
def test_nothing_is_shut_out_for_ever(happenings: list[bool | float]) -> None:
    """Whatever happened, an attempt is due within the longest rest."""
    clock = Clock()
    breaker = Breaker(clock=clock)
    for happening in happenings:
        if isinstance(happening, bool):
            breaker.succeeded() if happening else breaker.failed()
        else:
            clock.now_s += happening
            breaker.admits()
    clock.now_s += LONGEST_REST_S
    assert breaker.admits()
