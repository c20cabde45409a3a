"""Sentences in running words, and where to cut audio between two words."""

from collections.abc import Sequence

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples
from transcription_svc.engines.base import Word

_STOPS = (".", "!", "?", "…")
_CLAUSE_STOPS = (",", ";", ":", "–", "—", *_STOPS)
_CLOSERS = "\"'»”)]"
_ABBREVIATIONS = """
mr. mrs. ms. dr. prof. st. vs. etc. e.g. i.e. sr. sra. srta. dra. ud. uds. m. mme. mlle. sig. dott. hr. z.b.
usw.
bzw. nr. p.ex. pág. art.
"""
_NO_SENTENCE_END = frozenset(_ABBREVIATIONS.split())
_MIN_WORDS = 3
_QUIET_MS = 120
_SEARCH_MS = 160
"""How far from the words' own times a quieter place may be; their times are off by about this much."""


def ends_sentence(word: str) -> bool:
    """Whether a sentence ends with this word."""
    bare = word.rstrip(_CLOSERS)
    if not bare.endswith(_STOPS) or bare.casefold() in _NO_SENTENCE_END:
        return False
    initial = len(bare) == 2 and bare[0].isupper()  # noqa: PLR2004 - "J." in J. Smith
    return not (initial or bare[:-1].replace(".", "").isdigit())


def ends_clause(word: str) -> bool:
    """Whether a clause or a sentence ends with this word."""
    return word.rstrip(_CLOSERS).endswith(_CLAUSE_STOPS)


def sentence_end(words: Sequence[str]) -> int:
    """Number of words of the first whole sentence that has something after it; 0 if there is none.

    Sentences of fewer than three words stay with the next one: they are mostly no sentences, and not worth a
    voice of their own.
    """
    for count in range(_MIN_WORDS, len(words)):
        if ends_sentence(words[count - 1]):
            return count
    return 0


def clause_end(words: Sequence[Word], *, at_least: int) -> int:
    """Number of words after which to cut a text that grew too long; 0 if it cannot be cut.

    The cut leaves at least `at_least` words before it and one after it; the last end of a clause is best,
    then the longest gap between two words of the later half.
    """
    possible = range(max(1, at_least), len(words))
    clauses = [count for count in possible if ends_clause(words[count - 1].text) and count >= _MIN_WORDS]
    if clauses:
        return clauses[-1]
    later = [count for count in possible if words[count].start_s >= words[-1].end_s / 2]
    return max(later, key=lambda count: (words[count].start_s - words[count - 1].end_s, count), default=0)


def cut_between(samples: Samples, before: Word, after: Word) -> int:
    """Sample at which to cut between two words: the middle of the quietest 120 ms around their border."""
    earliest = before.end_s - _SEARCH_MS / 1000
    latest = after.start_s + _SEARCH_MS / 1000
    return quietest(samples, int(earliest * SAMPLE_RATE_HZ), int(latest * SAMPLE_RATE_HZ))


def quietest(samples: Samples, start: int, end: int) -> int:
    """The middle of the quietest 120 ms between two samples; positions are clamped to what is there."""
    step = SAMPLE_RATE_HZ // 100
    width = _QUIET_MS // 10
    start, end = max(0, min(start, len(samples))), max(0, min(end, len(samples)))
    steps = (end - start) // step
    if steps <= width:
        return (start + end) // 2
    energy = np.square(samples[start : start + steps * step]).reshape(steps, step).sum(axis=1)
    windows = np.convolve(energy, np.ones(width), mode="valid")
    return start + (int(np.argmin(windows)) + width // 2) * step
