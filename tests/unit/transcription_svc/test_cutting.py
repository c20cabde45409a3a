"""Where a segment is cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.audio import Samples
from transcription_svc.cutting import best_cut, cut_between, quietest
from transcription_svc.engines.base import Word


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
