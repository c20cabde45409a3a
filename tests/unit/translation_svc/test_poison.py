"""What is not tried again."""

from hypothesis import given
from hypothesis import strategies as st

from translation_svc.poison import FORGOTTEN_AFTER_S, MAX_TRIES, REMEMBERED, Poison


def test_a_request_that_worked_is_no_poison() -> None:
    """However often it failed before that."""
    poison = Poison()
    for _ in range(MAX_TRIES):
        poison.failed(b"a")
    assert poison.is_known(b"a")
    poison.succeeded(b"a")
    assert not poison.is_known(b"a")


@given(st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=12))
def test_requests_are_counted_apart(failures: list[bytes]) -> None:
    """One is known as soon as it was tried often enough, whatever others did."""
    poison = Poison(clock=lambda: 0.0)
    for request in failures:
        poison.failed(request)
    for request in (b"a", b"b", b"c"):
        assert poison.is_known(request) == (failures.count(request) >= MAX_TRIES)


def test_it_is_forgotten_after_a_while() -> None:
    """And then has all of its tries again."""
    now = 0.0
    poison = Poison(clock=lambda: now)
    for _ in range(MAX_TRIES):
        poison.failed(b"a")
    now = FORGOTTEN_AFTER_S
    assert not poison.is_known(b"a")
    poison.failed(b"a")
    assert not poison.is_known(b"a")


def test_only_so_many_are_remembered() -> None:
    """The oldest go."""
    poison = Poison()
    for number in range(REMEMBERED + 1):
        for _ in range(MAX_TRIES):
            poison.failed(str(number).encode())
    assert not poison.is_known(b"0")
    assert poison.is_known(b"1")
