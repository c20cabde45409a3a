"""What somebody who watches the transcript sees: words that come, change, and stay. Pure.

Only words count: neither case nor punctuation nor the spelling of numbers makes a change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.quality.alignment import matches
from bench.wer import normalise


@dataclass(frozen=True, slots=True)
class Shown:
    """One result; times in s from the first sample."""

    at_s: float
    """When it came."""
    segment: int
    text: str
    stable_text: str
    is_final: bool
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Screen:
    """All words on the screen after a result."""

    at_s: float
    words: tuple[str, ...]
    stable: int
    """So many of them, from the first on, are promised to stay."""
    final: int
    """So many of them belong to final results."""


@dataclass(frozen=True, slots=True)
class Flicker:
    """Words that were shown and changed; adds up over talks."""

    shown: int = 0
    """Words that appeared, each new version of a word counted."""
    changed: int = 0
    """Those of them that went away again or became others."""
    erased: int = 0
    """Words behind the first change of each update, which is what a terminal would delete and write anew."""
    final: int = 0
    """Words at the end."""
    taken_back: int = 0
    """Words that had been promised to stay and did not."""

    @property
    def changed_share(self) -> float:
        """Share of the shown words that changed; NaN without words."""
        return self.changed / self.shown if self.shown else float("nan")

    @property
    def normalised_erasure(self) -> float:
        """Erased words per final word (Arivazhagan et al., 2020); NaN without words."""
        return self.erased / self.final if self.final else float("nan")

    def __add__(self, other: "Flicker") -> "Flicker":
        return Flicker(
            self.shown + other.shown,
            self.changed + other.changed,
            self.erased + other.erased,
            self.final + other.final,
            self.taken_back + other.taken_back,
        )


def screens(results: Iterable[Shown], language: str) -> list[Screen]:
    """The screen after each result; a partial result replaces the open text, a final one closes it."""
    closed: tuple[str, ...] = ()
    found: list[Screen] = []
    for result in results:
        text = tuple(normalise(result.text, language))
        if result.is_final:
            closed += text
            found.append(Screen(result.at_s, closed, len(closed), len(closed)))
        else:
            stable = len(closed) + len(normalise(result.stable_text, language))
            found.append(Screen(result.at_s, closed + text, stable, len(closed)))
    return found


def commit_times_s(shown: Sequence[Screen]) -> list[float]:
    """For each word of the last screen: when it was promised to stay."""
    times: list[float] = []
    for screen in shown:
        times += [screen.at_s] * (screen.stable - len(times))
    return times[: len(shown[-1].words)] if shown else []


def first_shown_s(shown: Sequence[Screen], position: int, *, not_before_s: float) -> float | None:
    """When the word at `position` was first there, in whatever version."""
    return next(
        (screen.at_s for screen in shown if screen.at_s >= not_before_s and len(screen.words) > position),
        None,
    )


def flicker(shown: Sequence[Screen]) -> Flicker:
    """How much was changed over all updates."""
    total = Flicker(final=len(shown[-1].words) if shown else 0)
    before = Screen(0.0, (), 0, 0)
    for screen in shown:
        old, new = before.words[before.final :], screen.words[before.final :]
        stay = len(matches(old, new))
        prefix = _common_prefix(old, new)
        promised = before.words[: before.stable]
        total += Flicker(
            shown=len(new) - stay,
            changed=len(old) - stay,
            erased=len(old) - prefix,
            taken_back=len(promised) - _common_prefix(promised, screen.words),
        )
        before = screen
    return total


def _common_prefix(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count
