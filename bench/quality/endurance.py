"""Whether a recogniser holds out over a long talk: no standstill, no loop, nothing invented. Pure."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.measures import Delay, growth_s
from bench.quality.display import Shown
from bench.quality.figures import Figures, of_results
from bench.quality.repetition import Loop, invented_loops
from bench.quality.talks import Talk
from bench.quality.truth import UTTERANCE_GAP_S, TimedWord
from bench.wer import normalise

LONGEST_GAP_S = 10.0
MOST_INSERTED = 0.08
MOST_WORDS = 1.15
MOST_GROWTH_S = 0.5
FEWEST_FINALS = 30
"""From so many results on their delays tell more than how long the sentences happen to be."""
LONG_PAUSE_S = 5.0
_EDGE_S = 0.5
"""Results may be so far off in time; what begins later in a pause was not said."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Endurance:
    """What a talk showed."""

    figures: Figures
    """Of the words in the language of the talk."""
    longest_gap_s: float
    """Most speech between two final results that follow each other, s of speech."""
    said_per_s: float
    """Words per second of speech, in all languages."""
    heard_per_s: float
    loops: tuple[Loop, ...]
    words_in_pauses: int
    lag_growth_s: float
    """By how much later final results come in the last third than in the first; NaN with too few."""

    @property
    def faults(self) -> list[str]:
        """What went beyond its limit."""
        found = []
        if self.longest_gap_s > LONGEST_GAP_S:
            found.append("stalls")
        if self.loops:
            found.append("loops")
        # in a language that the recogniser was not told, and in noise, words may come out as others: their
        # number tells whether something was invented
        if self.heard_per_s > MOST_WORDS * self.said_per_s or self.words_in_pauses:
            found.append("invents")
        if self.figures.errors.insertion_rate > MOST_INSERTED:
            found.append("inserts")
        if self.lag_growth_s > MOST_GROWTH_S:
            found.append("falls behind")
        return found


def endurance(
    talk: Talk,
    results: Sequence[Shown],
    spoken: Sequence[TimedWord],
    spans: Sequence[Span],
    *,
    cpu_s: float,
) -> Endurance:
    """Judge the results of a talk.

    `spoken` are its words in its language with their times, `spans` all stretches of speech in it.
    """
    own = in_own_language(talk, results)
    figures = of_results(talk, own, spoken, cpu_s=cpu_s)
    said = [
        word for piece in talk.pieces for word in normalise(piece.recording.text, piece.recording.language)
    ]
    heard = [word for result in results if result.is_final for word in normalise(result.text, talk.language)]
    speech_s = sum(end - start for start, end in spans)
    moments = [result.at_s for result in results if result.is_final]
    return Endurance(
        figures=figures,
        longest_gap_s=longest_gap_s(moments, spans),
        said_per_s=len(said) / speech_s,
        heard_per_s=len(heard) / speech_s,
        loops=tuple(invented_loops(said, heard)),
        words_in_pauses=words_in_pauses(talk, results),
        lag_growth_s=lag_growth_s(results),
    )


def speech_spans(words: Sequence[TimedWord]) -> list[Span]:
    """Stretches of speech without a pause."""
    spans: list[Span] = []
    for word in words:
        if spans and word.start_s - spans[-1][1] < UTTERANCE_GAP_S:
            spans[-1] = (spans[-1][0], max(spans[-1][1], word.end_s))
        else:
            spans.append((word.start_s, word.end_s))
    return spans


def longest_gap_s(moments: Sequence[float], spans: Sequence[Span]) -> float:
    """Most speech between two moments that follow each other, before the first and after the last, s."""
    borders = [0.0, *sorted(moments), max((end for _, end in spans), default=0.0)]
    return max(
        sum(max(0.0, min(end, after) - max(start, before)) for start, end in spans)
        for before, after in itertools.pairwise(borders)
    )


def lag_growth_s(results: Sequence[Shown]) -> float:
    """Growth of the median time from the end of a segment's speech to its final result; NaN with too few."""
    lags = [Delay(result.end_s, result.at_s - result.end_s) for result in results if result.is_final]
    return growth_s(lags) if len(lags) >= FEWEST_FINALS else math.nan


def words_in_pauses(talk: Talk, results: Sequence[Shown]) -> int:
    """Words of segments that begin in a long pause, at their most."""
    most: dict[int, int] = {}
    for result in results:
        for start, end in talk.pauses(at_least_s=LONG_PAUSE_S):
            if start + _EDGE_S < result.start_s < end - _EDGE_S:
                words = len(normalise(result.text, talk.language))
                most[result.segment] = max(most.get(result.segment, 0), words)
    return sum(most.values())


def in_own_language(talk: Talk, results: Sequence[Shown]) -> list[Shown]:
    """The results about pieces in the language of the talk, by the middle of each segment."""
    if len(talk.own_pieces) == len(talk.pieces):
        return list(results)
    foreign = {
        result.segment
        for result in results
        if result.is_final
        and not any(
            piece.start_s - _EDGE_S <= (result.start_s + result.end_s) / 2 <= piece.end_s + _EDGE_S / 2
            for piece in talk.own_pieces
        )
    }
    return [result for result in results if result.segment not in foreign]
