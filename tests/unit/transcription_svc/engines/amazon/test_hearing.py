"""Amazon's results and times in terms of our stream."""

from amazon_transcribe.model import Alternative, Item, Result
from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.engines.amazon.hearing import HeardWord, StreamClock, read_result

RATE = 16_000


def item(
    content: str | None, start: float, end: float, *, stable: bool | None = None, mark: bool = False
) -> Item:
    """An item of the library."""
    kind = "punctuation" if mark else "pronunciation"
    return Item(start_time=start, end_time=end, item_type=kind, content=content, stable=stable)


def test_words_carry_their_punctuation() -> None:
    """Marks join the word before them, opening ones the word after; empty items are left out."""
    items = [
        item(",", 0.0, 0.0, mark=True),
        item("¿", 0.1, 0.1, mark=True),
        item("Qué", 0.1, 0.4, stable=True),
        item("tal", 0.5, 0.8, stable=False),
        item("?", 0.8, 0.8, mark=True),
        item(None, 0.9, 0.9),
    ]
    result = Result("id", 0.1, 0.9, True, [Alternative("¿Qué tal?", items, None)])  # type: ignore[no-untyped-call]
    heard = read_result(result, StreamClock(RATE).position)
    assert heard.words == (
        HeardWord("¿Qué", int(1.1 * RATE), int(1.4 * RATE), stable=True),
        HeardWord("tal?", int(1.5 * RATE), int(1.8 * RATE), stable=False),
    )
    assert (heard.result_id, heard.final, heard.end) == ("id", False, int(1.9 * RATE))


def test_results_without_anything_are_empty() -> None:
    """Missing fields are no fault."""
    heard = read_result(Result(), StreamClock(5).position)
    assert (heard.words, heard.final, heard.end, heard.result_id) == ((), True, 5, "")


@given(st.integers(0, 10**9), st.floats(0, 10_000))
def test_times_count_from_the_first_sample_sent(start: int, seconds: float) -> None:
    """Without insertions a time is so far behind the connection's first sample."""
    clock = StreamClock(start)
    clock.sent(10**8)
    assert clock.position(seconds) == start + round(seconds * RATE)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5_000)), max_size=20))
def test_inserted_silence_moves_nothing(pieces: list[tuple[bool, int]]) -> None:
    """Whatever is inserted where, our own samples keep their positions, and times never go back."""
    clock = StreamClock(1_000)
    ours, theirs = 1_000, 0
    expected = []
    for inserted, samples in pieces:
        if inserted:
            clock.inserted(samples)
        else:
            clock.sent(samples)
            expected.append((theirs + samples // 2, ours + samples // 2))
            ours += samples
        theirs += samples
    for amazons, position in expected:
        assert clock.position(amazons / RATE) == position
    positions = [clock.position(at / RATE) for at in range(0, theirs, 97)]
    assert positions == sorted(positions)
    assert all(1_000 <= position <= ours for position in positions)
