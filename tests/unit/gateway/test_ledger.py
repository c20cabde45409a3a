"""Which chunk lies where in the session's audio."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import UNKNOWN, Ledger, Place, Source

lengths_ms = st.lists(st.integers(10, 400), min_size=1, max_size=40)


def filled(lengths: list[int], *, held_ms: float = 0.0) -> Ledger:
    """Chunks of those lengths, numbered from 1, of each of which the resampler holds the end back."""
    ledger, end_ms = Ledger(), -held_ms
    for number, length in enumerate(lengths, start=1):
        end_ms += length
        ledger.note(Source(number, length, held_ms), end_ms=end_ms)
    return ledger


@given(lengths_ms, st.floats(0, 8), st.data())
def test_a_place_is_the_chunk_and_what_of_it_was_heard(
    lengths: list[int], held_ms: float, data: st.DataObject
) -> None:
    """All chunks up to the place and so much of the next are as long as the position, to the ms below."""
    ledger = filled(lengths, held_ms=held_ms)
    position_ms = data.draw(st.integers(0, sum(lengths)))
    ledger.release(until_ms=data.draw(st.integers(0, position_ms)))
    place = ledger.place(position_ms)
    answered_ms = sum(lengths[: place.sequence]) + place.offset_ms
    assert position_ms - 1 <= answered_ms <= position_ms
    assert place.offset_ms == 0 or place.offset_ms <= lengths[place.sequence]


def test_a_pause_is_answered_with_what_comes_after_it() -> None:
    """Chunks that were not heard lie before the one that was heard next; silence put in has no number."""
    ledger = Ledger()
    ledger.note(Source(1, 100), end_ms=100)
    ledger.note(Source(5, 100), end_ms=1_200)
    assert [ledger.place(ms) for ms in (100, 700, 1_150)] == [Place(4), Place(4), Place(4, 50)]


def test_it_goes_on_with_that_of_another_owner() -> None:
    """Until a chunk came, the place is where it was; unknown stays unknown."""
    ledger = Ledger()
    ledger.begin(Place(7, 30))
    assert ledger.place(10_000) == Place(7, 30)
    ledger.note(Source(8, 100), end_ms=10_070)
    assert (ledger.place(10_000), ledger.place(10_070)) == (Place(7, 30), Place(8))
    ledger.begin(Place(UNKNOWN))
    assert ledger.place(0).sequence == UNKNOWN


def test_what_was_hidden_is_told_in_rows() -> None:
    """The first and last of each row, without those that are answered."""
    ledger = Ledger()
    for number in (3, 4, 5, 9):
        ledger.hide(number)
    assert ledger.hidden(after=0) == [3, 5, 9, 9]
    assert ledger.hidden(after=5) == [9, 9]
