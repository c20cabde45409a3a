"""Numbers without gaps, and what is said when there are some."""

from hypothesis import given
from hypothesis import strategies as st

from babelcast.client.sequence import Place, SequenceTracker


@given(st.integers(0, 1_000), st.lists(st.integers(1, 30), max_size=60))
def test_each_number_is_taken_at_most_once_and_in_order(start: int, offsets: list[int]) -> None:
    """Whatever arrives, what is not called repeated rises strictly, and gaps are called so."""
    tracker = SequenceTracker()
    tracker.start("es", start)
    taken = [start]
    for offset in offsets:
        number = start + offset
        place = tracker.take("es", number)
        if place is Place.REPEATED:
            assert number <= taken[-1]
        else:
            assert (place is Place.NEXT) == (number == taken[-1] + 1)
            taken.append(number)
    assert taken == sorted(set(taken))
    assert tracker.last("es") == taken[-1]


def test_the_first_number_of_an_unknown_language_is_next() -> None:
    """Without a start there is nothing to compare with."""
    tracker = SequenceTracker()
    assert tracker.take("fr", 17) is Place.NEXT
    assert tracker.last("es") is None


def test_what_was_not_wanted_is_skipped() -> None:
    """After a pause of the playback the current language goes on from the server's number."""
    tracker = SequenceTracker()
    tracker.start("es", 3)
    tracker.skip_to(9)
    assert tracker.take("es", 10) is Place.NEXT
