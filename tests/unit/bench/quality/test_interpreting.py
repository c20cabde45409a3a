"""Speed into several languages."""

import pytest

from bench.measures import Summary
from bench.quality.interpreting import Took, _groups, in_time


def _took(languages: int, text_s: float, voice_s: float) -> Took:
    return Took(languages, Summary.of([text_s]), Summary.of([voice_s]))


@pytest.mark.parametrize(
    ("text_s", "voice_s", "kept"), [(0.04, 0.08, True), (0.05, 0.08, False), (0.04, 0.09, False)]
)
def test_six_languages_may_take_twice_what_one_takes(text_s: float, voice_s: float, kept: bool) -> None:
    """In text, and with the voice."""
    assert in_time([_took(1, 0.02, 0.04), _took(3, 9, 9), _took(6, text_s, voice_s)]) == kept


def test_every_language_counts_as_often_as_the_others() -> None:
    """Alone, in threes, and all together."""
    six = list("abcdef")
    assert _groups(six, 1) == [("a",), ("b",), ("c",), ("d",), ("e",), ("f",)]
    assert _groups(six, 3) == [("a", "b", "c"), ("d", "e", "f")]
    assert _groups(six, 6) == [tuple(six)]
