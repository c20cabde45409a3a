"""From sentences to what is shown at a time: short lines, each with its place, none over another. Pure.

At most two lines of 42 columns, as subtitles have them (Netflix' Timed Text Style Guide; the BBC's says 37 to
42); letters of Chinese, Japanese and Korean take two columns. Each part of a sentence gets the share of its
time that its letters have. A word that is longer than a line stays whole unless its script has no spaces.
"""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from babelcast.archive.base import Entry

COLUMNS: Final = 42
LINES: Final = 2
LEAST_MS: Final = 800
"""A part is shown for so long where nothing else comes meanwhile."""
RIGHT_TO_LEFT: Final = frozenset(
    {"ar", "arc", "ckb", "dv", "fa", "ha", "he", "ks", "ku", "ps", "sd", "ug", "ur", "yi"}
)


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from one moment to another, ms of the talk."""

    segment: int
    start_ms: int
    end_ms: int
    lines: Sequence[str]


def is_right_to_left(language: str) -> bool:
    """Whether a language is written so."""
    return language in RIGHT_TO_LEFT


def cues(entries: Sequence[Entry]) -> list[Cue]:
    """The parts of all sentences, in order, none beginning before the one before it has ended."""
    found: list[Cue] = []
    parts_of = [(entry, portions(entry.text)) for entry in entries]
    shown = [(entry, parts) for entry, parts in parts_of if parts]
    free_from_ms = 0
    for index, (entry, parts) in enumerate(shown):
        start_ms = max(entry.start_ms, free_from_ms)
        end_ms = max(entry.end_ms, start_ms + LEAST_MS * len(parts))
        if index + 1 < len(shown):
            end_ms = min(end_ms, max(shown[index + 1][0].start_ms, entry.end_ms))
        free_from_ms = end_ms = max(end_ms, start_ms + len(parts))  # at least a millisecond each
        found.extend(_timed(entry.segment, parts, start_ms, end_ms))
    return found


def portions(text: str) -> list[list[str]]:
    """A text as lines, in portions of what is shown at a time."""
    lines = wrapped(" ".join(clean(text).split()))
    count = math.ceil(len(lines) / LINES)
    return [lines[LINES * index : LINES * (index + 1)] for index in range(count)]


def wrapped(text: str) -> list[str]:
    """As few lines as possible, and those about as long as each other."""
    pieces = list(_pieces(text))
    lines = _fill(pieces, COLUMNS)
    if len(lines) > 1:
        for columns in range(math.ceil(width(text) / len(lines)), COLUMNS):
            tried = _fill(pieces, columns)
            if len(tried) == len(lines):
                return tried
    return lines


def width(text: str) -> int:
    """Columns that a text takes."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def clean(text: str) -> str:
    """Without control characters, which files cannot carry."""
    return "".join(
        " " if unicodedata.category(letter) in {"Cc", "Zl", "Zp", "Cs"} else letter for letter in text
    )


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """What may stand at the end of a line, and whether a space comes before it."""
    for word in text.split(" "):
        piece, spaced = "", True
        for letter in word:
            wide = unicodedata.east_asian_width(letter) in "WF"
            # signs do not begin a line
            if piece and wide and unicodedata.category(letter)[0] not in "PM":
                yield piece, spaced
                piece, spaced = "", False
            piece += letter
        if piece:
            yield piece, spaced


def _fill(pieces: Sequence[tuple[str, bool]], columns: int) -> list[str]:
    lines: list[str] = []
    for piece, spaced in pieces:
        joined = f"{lines[-1]}{' ' if spaced else ''}{piece}" if lines else piece
        if lines and width(joined) <= columns:
            lines[-1] = joined
        else:
            lines.append(piece)
    return lines


def _timed(segment: int, parts: Sequence[Sequence[str]], start_ms: int, end_ms: int) -> Iterator[Cue]:
    weights = [sum(map(width, lines)) or 1 for lines in parts]
    spare_ms = end_ms - start_ms - len(parts)  # one is given to each
    passed = 0
    begin_ms = start_ms
    for number, (lines, weight) in enumerate(zip(parts, weights, strict=True), 1):
        passed += weight
        until_ms = start_ms + number + spare_ms * passed // sum(weights)
        yield Cue(segment, begin_ms, until_ms, lines)
        begin_ms = until_ms
