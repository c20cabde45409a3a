"""When the words of a talk are spoken, by a decode of each clean recording with word times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.quality.recordings import Recording
from bench.quality.talks import Talk

UTTERANCE_GAP_S = 0.5
"""Silence between two words that makes the second begin an utterance."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and its time, s from the first sample."""

    text: str
    """Normalised."""
    start_s: float
    end_s: float


WordTimes = Callable[[Recording], Sequence[TimedWord]]
"""Finds the words of a recording with their times."""


def spoken_words(talk: Talk, times: WordTimes) -> list[TimedWord]:
    """The words in the language of the talk, in order."""
    return [
        TimedWord(word.text, piece.start_s + word.start_s, piece.start_s + word.end_s)
        for piece in talk.own_pieces
        for word in times(piece.recording)
    ]


def utterance_starts(words: Sequence[TimedWord]) -> list[int]:
    """Positions of the words that begin an utterance."""
    return [
        position
        for position, word in enumerate(words)
        if position == 0 or word.start_s - words[position - 1].end_s >= UTTERANCE_GAP_S
    ]
