"""When audio came."""

from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.arrivals import MOST, Arrivals


def test_a_delay_counts_from_the_last_of_the_audio() -> None:
    """A result that ends in the middle of a piece waited for that piece."""
    arrivals = Arrivals()
    for number in range(1, 6):
        arrivals.came(100 * number, float(number))
    assert arrivals.delay_s(250, 10.0) == 7.0
    assert arrivals.delay_s(300, 10.0) == 7.0
    assert arrivals.delay_s(301, 10.0) == 6.0


def test_what_is_not_known_is_not_told() -> None:
    """Neither before any audio, nor after more than is remembered, nor beyond what came."""
    arrivals = Arrivals()
    assert arrivals.delay_s(1, 1.0) is None
    for number in range(MOST + 10):
        arrivals.came(number + 1, float(number))
    assert arrivals.delay_s(3, 1.0) is None
    assert arrivals.delay_s(MOST + 11, 1.0) is None


@given(st.lists(st.integers(1, 50), min_size=1, max_size=100), st.data())
def test_delays_are_those_of_the_piece(sizes: list[int], data: st.DataObject) -> None:
    """For positions in any order that does not go back."""
    arrivals = Arrivals()
    ends: list[int] = []
    for number, size in enumerate(sizes):
        ends.append((ends[-1] if ends else 0) + size)
        arrivals.came(ends[-1], float(number))
    positions = sorted(data.draw(st.lists(st.integers(1, ends[-1]), max_size=5)))
    for position in positions:
        came = next(number for number, end in enumerate(ends) if end >= position)
        assert arrivals.delay_s(position, 1000.0) == 1000.0 - came
