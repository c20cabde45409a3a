"""Words of two texts brought side by side."""

import math

from hypothesis import given
from hypothesis import strategies as st

from bench.quality.alignment import Errors, align, errors, matches
from bench.wer import edits

WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=12)


def test_edits_are_told_apart() -> None:
    """A word in another's place, a missing word and one too many."""
    assert errors(["a", "b", "c", "d"], ["a", "x", "c"]) == Errors(1, 1, 0, 4)
    assert errors(["a", "b"], ["a", "z", "b"]) == Errors(0, 0, 1, 2)


def test_rates_are_per_word_of_the_reference() -> None:
    """Three edits of four words; nothing said gives no rate."""
    found = errors(["a", "b", "c", "d"], ["a", "x", "c", "e", "e"])
    assert found.rate == 3 / 4
    assert found.insertion_rate == 1 / 4
    assert math.isnan(Errors().rate)
    assert math.isnan(Errors().insertion_rate)


def test_errors_of_texts_add_up() -> None:
    """Rates of several texts are by their words together."""
    assert Errors(1, 0, 2, 10) + Errors(0, 3, 1, 5) == Errors(1, 3, 3, 15)


def test_equal_words_match_over_a_gap() -> None:
    """Words keep their partners when others are missing before them."""
    assert matches(["a", "b", "c", "d"], ["b", "x", "d"]) == [(1, 0), (3, 2)]


@given(WORDS, WORDS)
def test_an_alignment_has_each_word_once_in_order_with_fewest_edits(one: list[str], other: list[str]) -> None:
    """For all texts."""
    pairs = align(one, other)
    assert [pair.reference for pair in pairs if pair.reference is not None] == list(range(len(one)))
    assert [pair.hypothesis for pair in pairs if pair.hypothesis is not None] == list(range(len(other)))
    found = errors(one, other)
    assert found.substituted + found.deleted + found.inserted == edits(one, other)
