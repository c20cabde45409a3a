"""Where to cut a segment that must end although its speaker goes on: at pauses, at words, at quiet places."""

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples
from transcription_svc.endpointing import Pause
from transcription_svc.engines.base import Word
from transcription_svc.sentences import ends_clause, ends_sentence

_QUIET_MS = 120
_DEEP_DB = 25.0
"""A dip under the mean level that is a real pause."""
_SHORT_LETTERS = 3
_SEARCH_MS = 160
"""How far from the words' own times a quieter place may be; their times are off by about this much."""


def longest_pause(pauses: Iterable[Pause], *, earliest: int, refused: Collection[int]) -> Pause | None:
    """The longest pause from `earliest` on, of equally long ones the last; none whose start is `refused`."""
    possible = [pause for pause in pauses if pause.start >= earliest and pause.start not in refused]
    return max(possible, key=lambda pause: (pause.end - pause.start, pause.start), default=None)


def best_cut(words: Sequence[Word], samples: Samples, *, at_least: int) -> int:
    """Number of words after which to cut a text that grew too long; 0 if it cannot be cut.

    The cut leaves at least `at_least` words before it and one after it. The end of a sentence or clause
    counts for it, and a dip in the sound; a very short word before it counts against it, because it mostly
    belongs to what follows ("to", "of the"), and so does a cut in the first third.
    """
    possible = range(max(1, at_least), len(words))
    loud_db = _level_db(samples)
    third_s = words[-1].end_s / 3 if words else 0.0

    def score(count: int) -> float:
        before, after = words[count - 1], words[count]
        start, end = _gap(before, after)
        dip = min(_DEEP_DB, max(0.0, loud_db - _level_db(_around(samples, quietest(samples, start, end)))))
        marks = 2.0 * ends_clause(before.text) + 1.0 * ends_sentence(before.text)
        return marks + 2.0 * dip / _DEEP_DB - 0.7 * _leans_on(before.text) - 0.7 * (before.end_s < third_s)

    return max(possible, key=lambda count: (score(count), count), default=0)


def cut_between(samples: Samples, before: Word, after: Word) -> int:
    """Sample at which to cut between two words: the middle of the quietest 120 ms around their border."""
    return quietest(samples, *_gap(before, after))


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


def _gap(before: Word, after: Word) -> tuple[int, int]:
    reach_s = _SEARCH_MS / 1000
    return (
        int((before.end_s - reach_s) * SAMPLE_RATE_HZ),
        int((max(before.end_s, after.start_s) + reach_s) * SAMPLE_RATE_HZ),
    )


def _around(samples: Samples, middle: int) -> Samples:
    half = _QUIET_MS * SAMPLE_RATE_HZ // 2000
    return samples[max(0, middle - half) : middle + half]


def _level_db(samples: Samples) -> float:
    power = float(np.mean(np.square(samples))) if len(samples) else 0.0
    return 10.0 * math.log10(power + 1e-10)


def _leans_on(word: str) -> bool:
    """Whether a word is so short that it mostly belongs to the next one."""
    return len(word) <= _SHORT_LETTERS and not ends_clause(word)
