"""From sentences to what is shown at a time: short lines, each with its place, none over another. Pure.

At most two lines of 42 columns, as subtitles have them (Netflix' Timed Text Style Guide; the BBC's says 37 to
42); letters of Chinese, Japanese and Korean take two columns. Each part of a sentence gets the share of its
time that its letters have. A word that is longer than a line stays whole unless its script has no spaces.
"""

import functools
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
    return len(text) if text.isascii() else sum(map(_columns, text))


def clean(text: str) -> str:
    """Without control characters, which files cannot carry."""
    if text.isprintable():
        return text
    return "".join(
        " " if unicodedata.category(letter) in {"Cc", "Zl", "Zp", "Cs"} else letter for letter in text
    )


@functools.lru_cache(maxsize=4096)
def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if _is_wide(letter) else 1


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


@dataclass(frozen=True, slots=True)
class _Piece:
    """What may stand at the end of a line."""

    text: str
    columns: int
    space: str
    """What comes before it unless it begins a line."""


def _pieces(text: str) -> Iterator[_Piece]:
    for word in text.split(" "):
        if not word:
            continue
        if word.isascii() or not any(map(_is_wide, word)):
            yield _Piece(word, width(word), " ")
            continue
        piece, space = "", " "
        for letter in word:
            # signs do not begin a line
            if piece and _is_wide(letter) and unicodedata.category(letter)[0] not in "PM":
                yield _Piece(piece, width(piece), space)
                piece, space = "", ""
            piece += letter
        yield _Piece(piece, width(piece), space)


def _fill(pieces: Sequence[_Piece], columns: int) -> list[str]:
    lines: list[list[str]] = []
    taken = columns
    for piece in pieces:
        added = len(piece.space) + piece.columns
        if lines and taken + added <= columns:
            lines[-1] += (piece.space, piece.text)
            taken += added
        else:
            lines.append([piece.text])
            taken = piece.columns
    return ["".join(line) for line in lines]


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
