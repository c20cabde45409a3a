"""Cutting text into sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.sentences import split


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Mr. Smith met Dr. Jones at 9:30 a.m. Monday.", ["Mr. Smith met Dr. Jones at 9:30 a.m. Monday."]),
        ("It costs 3.50 euros. Really.", ["It costs 3.50 euros.", "Really."]),
        ('"Stop." He left.', ['"Stop."', "He left."]),
        ("¿Qué? ¡Vaya! Bueno.", ["¿Qué?", "¡Vaya!", "Bueno."]),
        ("Un chat noir ? Oui.", ["Un chat noir ?", "Oui."]),
        ("wait... what", ["wait... what"]),
        ("  spread \n over   lines ", ["spread over lines"]),
        ("", []),
    ],
)
def test_sentences_end_where_people_end_them(text: str, sentences: list[str]) -> None:
    """Abbreviations, decimals and quotes do not end a sentence."""
    assert split(text, max_words=100) == sentences


def test_a_long_sentence_is_cut_after_a_clause() -> None:
    """At the last comma in the second half of the allowance."""
    assert split("a b c, d e f g h", max_words=5) == ["a b c,", "d e f g h"]


def test_a_long_sentence_without_clauses_is_cut_between_words() -> None:
    """Nothing better is there."""
    assert split("a b c d e f g", max_words=3) == ["a b c", "d e f", "g"]


@given(st.text(alphabet="ab A.,!? \n", max_size=200), st.integers(1, 12))
def test_nothing_is_lost_and_nothing_is_too_long(text: str, max_words: int) -> None:
    """Joined, the pieces are the text; each holds at most the allowance."""
    pieces = split(text, max_words=max_words)
    assert " ".join(pieces) == " ".join(text.split())
    assert all(1 <= len(piece.split(" ")) <= max_words for piece in pieces)
