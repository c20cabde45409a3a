"""Captions of a sentence that is being spoken: what is on the screen when, and how it changes. Pure.

The model of a speaker and of recognition: words come at an even pace, each is committed a while after it was
spoken, captions are renewed at an interval, and the final one comes a while after the last word. Times in s
from the first word. Neither case nor punctuation makes a change.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.quality.display import Flicker, Screen, flicker

WORDS_PER_S = 2.5
COMMITTED_AFTER_S = 1.8
FINAL_AFTER_S = 0.9

Show = Callable[[str], str | None]
"""A policy: what is shown when a text is translated so, or None for no change."""


@dataclass(frozen=True, slots=True)
class Captions:
    """What listeners saw of some sentences; adds up."""

    flicker: Flicker = field(default_factory=Flicker)
    waits_s: tuple[float, ...] = ()
    """For each word at the end: from when its part was spoken until it stood there for good, s."""
    seen: int = 0
    """Words at the end that had been shown before the final caption."""

    @property
    def seen_share(self) -> float:
        """Share of the words that were shown while the sentence was still open, and stayed."""
        return self.seen / len(self.waits_s) if self.waits_s else float("nan")

    def __add__(self, other: "Captions") -> "Captions":
        return Captions(self.flicker + other.flicker, self.waits_s + other.waits_s, self.seen + other.seen)


def updates(words: int, *, interval_s: float) -> Iterator[tuple[float, int]]:
    """When captions are renewed, and how many of the words are committed then."""
    end_s = words / WORDS_PER_S + FINAL_AFTER_S
    turn, before = 1, 0
    while turn * interval_s < end_s:
        at_s = turn * interval_s
        committed = min(words, int((at_s - COMMITTED_AFTER_S) * WORDS_PER_S))
        if committed > before:
            yield at_s, committed
            before = committed
        turn += 1


def captions(sentence: str, translations: Mapping[int, str], show: Show, *, interval_s: float) -> Captions:
    """What was seen of one sentence; `translations` are those of its first words, by how many."""
    words = len(sentence.split())
    screens: list[Screen] = []
    for at_s, committed in updates(words, interval_s=interval_s):
        text = show(translations[committed])
        if text is not None:
            screens.append(Screen(at_s, bare(text), 0, 0))
    final = bare(translations[words])
    spoken_s = words / WORDS_PER_S
    screens.append(Screen(spoken_s + FINAL_AFTER_S, final, len(final), len(final)))
    settled_s = settled(screens)
    return Captions(
        flicker(screens),
        tuple(at_s - spoken_s * (place + 1) / len(final) for place, at_s in enumerate(settled_s)),
        sum(at_s < screens[-1].at_s for at_s in settled_s),
    )


def bare(text: str) -> tuple[str, ...]:
    """The words, as they count."""
    return tuple("".join(filter(str.isalnum, word)) or word for word in text.casefold().split())


def settled(screens: Sequence[Screen]) -> list[float]:
    """For each word of the last screen: since when it and all before it have been there."""
    since_s: list[float] = []
    before: tuple[str, ...] = ()
    for screen in screens:
        same = next(
            (
                place
                for place, pair in enumerate(zip(before, screen.words, strict=False))
                if pair[0] != pair[1]
            ),
            min(len(before), len(screen.words)),
        )
        since_s = [*since_s[:same], *[screen.at_s] * (len(screen.words) - same)]
        before = screen.words
    return since_s
