"""Words that engines must leave alone travel as placeholders.

`Xq1` comes through every model and mode unchanged, wherever it stands (tried with 18 spellings over all
routes); `#1`, `__1__` and `«1»` do not.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_STEMS = ("Xq", "Zx", "Xk", "Qz")
_UNTOUCHABLE = re.compile(
    r"(?:https?://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]]"  # addresses on the web
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # of mail
    r"|(?<!\w)[@#]\w+"  # handles and tags
    r"|(?<!\w)\+\d+(?:[ /-]?\(?\d+\)?(?!\d*(?:[%‰€:,A-Za-z]|\.\d)))+"  # international telephone numbers
    r"|\bO['’][A-Z]\w+"  # Irish names, whose O is an article in Portuguese
    r"|\b[\w-]+(?:\.[a-z][\w-]*)+\.?(?:/[\w./?=&%#-]*[\w/])|\b[\w-]+\.(?:com|org|net|io|dev|eu|gov|edu)\b"
)


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a text, and what it becomes in the translation."""

    start: int
    end: int
    becomes: str
    is_prose: bool = False
    """Whether it takes a capital at the beginning of a sentence."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A text with placeholders, and what they stand for."""

    text: str
    stem: str
    values: tuple[str, ...]
    prose: frozenset[int] = frozenset()
    """Numbers of the placeholders whose values take a capital at the beginning."""
    complete: bool = True
    """False when no placeholder could be put, for the text is full of what looks like them."""

    def restore(self, translated: str) -> str | None:
        """`translated` with the values in place, or None when a placeholder was lost or doubled."""
        if not self.stem:
            return translated if self.complete else None
        pattern = re.compile(rf"{self.stem}(\d+)", re.IGNORECASE)
        met = sorted(int(found[1]) for found in pattern.finditer(translated))
        if met != list(range(1, len(self.values) + 1)):
            return None
        return pattern.sub(self._value, translated)

    def without(self, translated: str) -> str:
        """`translated` without its placeholders."""
        if not self.stem:
            return translated
        return re.sub(rf"{self.stem}\d+", " ", translated, flags=re.IGNORECASE)

    def _value(self, found: re.Match[str]) -> str:
        number = int(found[1])
        value = self.values[number - 1]
        begins = number in self.prose and not any(map(str.isalnum, found.string[: found.start()]))
        return value[:1].upper() + value[1:] if begins and value.islower() else value


def untouchable(text: str) -> list[Span]:
    """Web and mail addresses, handles, tags and O'Neills, which stay as they are."""
    return [Span(found.start(), found.end(), found[0]) for found in _UNTOUCHABLE.finditer(text)]


def mask(text: str, spans: Iterable[Span]) -> Masked:
    """Put placeholders for `spans`; of overlapping ones the first, and at one place the longest, counts."""
    placed = apart(spans)
    lowered = text.lower()
    stem = next((stem for stem in _STEMS if stem.lower() not in lowered), None)
    if stem is None:
        return Masked(text, "", (), complete=not placed)
    pieces: list[str] = []
    values: list[str] = []
    prose: set[int] = set()
    position = 0
    for span in placed:
        values.append(span.becomes)
        if span.is_prose:
            prose.add(len(values))
        pieces += [text[position : span.start], f"{stem}{len(values)}"]
        position = span.end
    first = next(filter(str.isalnum, text), "")
    return Masked(
        "".join([*pieces, text[position:]]),
        stem,
        tuple(values),
        prose=frozenset(prose) if first.isupper() else frozenset(),
    )


def covered(text: str, spans: Iterable[Span]) -> str:
    """`text`, as long as before, with letters over `spans`: what is looked for in it lies between them."""
    for span in spans:
        text = text[: span.start] + "_" * (span.end - span.start) + text[span.end :]
    return text


def apart(spans: Iterable[Span]) -> list[Span]:
    """Spans in order; of overlapping ones the first, and at one place the longest."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
