"""What a segment that begins after a cut goes on from: the last words before it, with their sound.

Speech that is cut without a pause begins in the middle of its sound, and of its sentence. Decoded alone, its
first words are guesses, and so is whether the cut went through a word. Decoded with the words before, which
are given to the decoder as known, what it says next is what follows them. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples
from transcription_svc.cutting import cut_between
from transcription_svc.engines.base import Word
from transcription_svc.words import key

_BEFORE_S = 0.1
"""Sound before the first word that goes with it; soft sounds begin words."""
_AGAIN = 3
"""So many of the last words, said again, are an echo."""
_SOON = 2
"""So many more words than were given are looked through for them."""


@dataclass(frozen=True, slots=True)
class Context:
    """Words before a cut."""

    start: int
    """Position in the stream from which they are decoded."""
    words: tuple[Word, ...]


def last_words(
    words: Sequence[Word], samples: Samples, *, seconds: float
) -> tuple[int, tuple[Word, ...]] | None:
    """Those of the last `seconds`, and the sample of their sound's start; `words` are those of `samples`.

    None if there are none, or if their decoder cannot go on from words.
    """
    if not words or not all(word.tokens for word in words):
        return None
    earliest_s = words[-1].end_s - seconds
    first = next((place for place, word in enumerate(words) if word.start_s >= earliest_s), len(words))
    if first == len(words):
        return None
    if not first:
        return max(0, int((words[0].start_s - _BEFORE_S) * SAMPLE_RATE_HZ)), tuple(words)
    return cut_between(samples, words[first - 1], words[first]), tuple(words[first:])


def says_again(before: Sequence[Word], words: Sequence[Word]) -> bool:
    """Whether what should follow the words before begins with the end of them: the model goes in circles."""
    end = [key(word.text) for word in before[-_AGAIN:]]
    heard = [key(word.text) for word in words[: len(before) + _SOON]]
    places = range(len(heard) - len(end) + 1)
    return len(end) > 1 and any(heard[place : place + len(end)] == end for place in places)
