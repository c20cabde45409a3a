"""Placeholders for what engines must not touch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.placeholders import Span, mask, untouchable


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("See https://example.com/a?b=c&d=1, please.", ["https://example.com/a?b=c&d=1"]),
        ("Go to www.example.org.", ["www.example.org"]),
        ("Write to me.you@example.org.", ["me.you@example.org"]),
        ("Open example.com or docs.python.org/3/library.", ["example.com", "docs.python.org/3/library"]),
        ("Thanks @ada for #opensource!", ["@ada", "#opensource"]),
        ("This is Mary O'Neill. O'clock?", ["O'Neill"]),
        ("It costs 3.50, i.e. a lot. End.Start", []),
    ],
)
def test_addresses_handles_and_tags_stay(text: str, kept: list[str]) -> None:
    """And nothing else does; a full stop behind an address is not part of it."""
    assert [span.becomes for span in untouchable(text)] == kept


def test_masking_and_restoring_in_another_order() -> None:
    """Engines move words; each value comes back where its placeholder went."""
    text = "From here to there."
    masked = mask(text, [Span(5, 9, "AQUÍ"), Span(13, 18, "ALLÍ")])
    assert masked.text == "From Xq1 to Xq2."
    assert masked.restore("Hacia Xq2 desde xq1.") == "Hacia ALLÍ desde AQUÍ."


@pytest.mark.parametrize("spoilt", ["nothing", "Xq1 Xq1 Xq2", "Xq1", "Xq1 Xq2 Xq3"])
def test_a_lost_or_doubled_placeholder_is_noticed(spoilt: str) -> None:
    """There is no half restoring."""
    assert mask("a b", [Span(0, 1, "A"), Span(2, 3, "B")]).restore(spoilt) is None


def test_of_overlapping_spans_the_longest_first_one_counts() -> None:
    """Terms inside terms."""
    masked = mask("new york city", [Span(4, 8, "x"), Span(0, 8, "NY"), Span(0, 13, "NYC")])
    assert (masked.text, masked.values) == ("Xq1", ("NYC",))


def test_a_text_that_looks_like_a_placeholder_gets_other_ones() -> None:
    """And where every stem is taken, nothing is masked."""
    assert mask("Xq1 b", [Span(4, 5, "B")]).text == "Xq1 Zx1"
    assert mask("xq zx xk qz b", [Span(12, 13, "B")]).values == ()


@given(
    st.text(alphabet="ab c.", max_size=60),
    st.lists(st.tuples(st.integers(0, 59), st.integers(1, 9)), max_size=12),
)
def test_restoring_what_was_masked_gives_the_text(text: str, places: list[tuple[int, int]]) -> None:
    """With values that are the masked words, an engine that echoes changes nothing."""
    spans = [
        Span(start, min(start + size, len(text)), text[start : start + size])
        for start, size in places
        if start < len(text)
    ]
    masked = mask(text, spans)
    assert masked.restore(masked.text) == text
