"""What was heard against what was said. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.measures import Delay, Summary
from bench.quality.alignment import Errors, errors, matches
from bench.quality.display import (
    Flicker,
    Screen,
    Shown,
    commit_times_s,
    first_shown_s,
    flicker,
    screens,
)
from bench.quality.talks import Talk
from bench.quality.truth import TimedWord, utterance_starts
from bench.wer import normalise

LATEST_S = 2.5
"""A stream is held while 95 % of its final results come so soon after the end of their speech, …"""
MOST_GROWTH_S = 0.5
"""… and come by no more than this later in the last third of the talk than in the first."""
_FIRST_WORDS = 3
"""An utterance counts for the first partial result when one of its first words was recognised."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one talk, or of several together."""

    errors: Errors = field(default_factory=Errors)
    flicker: Flicker = field(default_factory=Flicker)
    first_shown: tuple[Delay, ...] = ()
    """From the start of each utterance to the first of its words on the screen."""
    committed: tuple[Delay, ...] = ()
    """From the end of each word to the promise that it stays."""
    cpu_s: float = 0.0
    audio_s: float = 0.0

    @property
    def real_time_factor(self) -> float:
        """CPU seconds per second of audio; NaN without audio."""
        return self.cpu_s / self.audio_s if self.audio_s else float("nan")

    @property
    def first_shown_s(self) -> Summary:
        """The delays in short."""
        return Summary.of(delay.delay_s for delay in self.first_shown)

    @property
    def committed_s(self) -> Summary:
        """The delays in short."""
        return Summary.of(delay.delay_s for delay in self.committed)

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            self.errors + other.errors,
            self.flicker + other.flicker,
            self.first_shown + other.first_shown,
            self.committed + other.committed,
            self.cpu_s + other.cpu_s,
            self.audio_s + other.audio_s,
        )


@dataclass(frozen=True, slots=True)
class Held:
    """How late final results were with so many streams at once."""

    streams: int
    delays_s: Summary
    growth_s: float

    @property
    def in_time(self) -> bool:
        """Whether so many streams are served live."""
        return self.delays_s.p95_s <= LATEST_S and not self.growth_s > MOST_GROWTH_S


def of_text(talk: Talk, text: str, *, cpu_s: float) -> Figures:
    """Figures of something that gave its text at the end."""
    return Figures(
        errors=errors(normalise(talk.text, talk.language), normalise(text, talk.language)),
        cpu_s=cpu_s,
        audio_s=talk.seconds,
    )


def of_results(talk: Talk, results: Sequence[Shown], spoken: Sequence[TimedWord], *, cpu_s: float) -> Figures:
    """Figures of a live recogniser; `spoken` are the words of the talk in its language with their times."""
    shown = screens(results, talk.language)
    heard = shown[-1].words if shown else ()
    times_s = commit_times_s(shown)
    pairs = dict(matches([word.text for word in spoken], heard))
    return Figures(
        errors=errors(normalise(talk.text, talk.language), heard),
        flicker=flicker(shown),
        first_shown=_first_shown(shown, spoken, pairs),
        committed=tuple(
            Delay(spoken[said].end_s, times_s[found] - spoken[said].end_s) for said, found in pairs.items()
        ),
        cpu_s=cpu_s,
        audio_s=talk.seconds,
    )


def _first_shown(
    shown: Sequence[Screen], spoken: Sequence[TimedWord], pairs: dict[int, int]
) -> tuple[Delay, ...]:
    delays: list[Delay] = []
    for first in utterance_starts(spoken):
        near = next((said for said in range(first, first + _FIRST_WORDS) if said in pairs), None)
        if near is None:
            continue
        start_s = spoken[first].start_s
        place = max(0, pairs[near] - (near - first))
        at_s = first_shown_s(shown, place, not_before_s=start_s)
        if at_s is not None:
            delays.append(Delay(start_s, at_s - start_s))
    return tuple(delays)
