"""Sentence ends and cuts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.audio import Samples
from transcription_svc.engines.base import Word
from transcription_svc.sentences import (
    best_cut,
    cut_between,
    ends_clause,
    ends_sentence,
    ends_text,
    quietest,
    sentence_end,
)


@pytest.mark.parametrize("word", ["zero.", "que?", "now!", 'said."', "end…"])
def test_stops_end_sentences(word: str) -> None:
    """A full stop, question mark or exclamation mark ends a sentence, also inside quotes."""
    assert ends_sentence(word)


@pytest.mark.parametrize("word", ["Dr.", "J.", "3.", "word", "word,", "Sra.", "wait..."])
def test_abbreviations_and_numbers_do_not(word: str) -> None:
    """Abbreviations, initials, ordinals and unfinished words do not."""
    assert not ends_sentence(word)


def test_a_number_may_end_a_text() -> None:
    """At the end of a text there is nothing that a number's point could belong to."""
    assert ends_text("1.")
    assert ends_clause("two,")


def test_first_sentence_with_something_after_it() -> None:
    """A sentence counts only when more words follow, and when it is no mere interjection."""
    assert sentence_end(["Thank", "you", "all.", "Next"]) == 3
    assert sentence_end(["Thank", "you", "all."]) == 0
    assert sentence_end(["Yes.", "Thank", "you", "all.", "Next"]) == 4
    assert sentence_end([]) == 0


def tone(*, quiet_s: float, seconds: float = 2.0) -> Samples:
    """A tone with a gap of 200 ms that begins at `quiet_s`."""
    samples = np.sin(np.arange(int(16_000 * seconds)) / 10).astype(np.float32)
    samples[int(quiet_s * 16_000) : int((quiet_s + 0.2) * 16_000)] = 0.0
    return samples


def test_cut_lies_in_the_gap() -> None:
    """The quietest place around two words' border is found although their times are off."""
    at = cut_between(tone(quiet_s=0.95), Word("a", 0.5, 0.9), Word("b", 0.92, 1.5))
    assert 0.95 * 16_000 <= at <= 1.15 * 16_000


@given(st.integers(-5_000, 40_000), st.integers(-5_000, 40_000))
def test_quietest_stays_inside(start: int, end: int) -> None:
    """Whatever the bounds, the cut is a position in the audio."""
    assert 0 <= quietest(tone(quiet_s=0.5), start, end) <= 32_000


def timed(text: str) -> list[Word]:
    """Words of 0.3 s each."""
    return [Word(word, 0.3 * number, 0.3 * number + 0.3) for number, word in enumerate(text.split())]


def test_best_cut_prefers_clauses_and_dips() -> None:
    """A clause's end wins; without one the dip in the sound does."""
    loud = np.sin(np.arange(32_000) / 10).astype(np.float32)
    assert best_cut(timed("press two for accounting, another thing"), loud, at_least=0) == 4
    assert best_cut(timed("press two for accounting another thing"), tone(quiet_s=0.85), at_least=0) == 3


def test_best_cut_respects_committed_words() -> None:
    """A cut never lies before committed words, and there may be none at all."""
    loud = np.sin(np.arange(32_000) / 10).astype(np.float32)
    assert best_cut(timed("one, two three four"), loud, at_least=3) == 3
    assert best_cut(timed("one two"), loud, at_least=2) == 0
    assert best_cut([], loud, at_least=0) == 0
