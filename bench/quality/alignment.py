"""Words of two texts brought side by side with the fewest edits. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """Positions of two words that stand for each other; None where the other text has one too many."""

    reference: int | None
    hypothesis: int | None


@dataclass(frozen=True, slots=True)
class Errors:
    """Edits that make the reference out of the hypothesis, by kind; they add up over texts."""

    substituted: int = 0
    deleted: int = 0
    inserted: int = 0
    words: int = 0
    """Words of the reference."""

    @property
    def rate(self) -> float:
        """Word error rate; NaN without words."""
        return (self.substituted + self.deleted + self.inserted) / self.words if self.words else float("nan")

    @property
    def insertion_rate(self) -> float:
        """Words that nobody said, per word of the reference; NaN without words."""
        return self.inserted / self.words if self.words else float("nan")

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            self.substituted + other.substituted,
            self.deleted + other.deleted,
            self.inserted + other.inserted,
            self.words + other.words,
        )


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """Both texts in order, with the smallest edit distance; equal words rather late than early."""
    table = _distances(reference, hypothesis)
    pairs: list[Pair] = []
    row, column = len(reference), len(hypothesis)
    while row or column:
        here = table[row][column]
        if row and column:
            differ = reference[row - 1] != hypothesis[column - 1]
            if here == table[row - 1][column - 1] + differ:
                row, column = row - 1, column - 1
                pairs.append(Pair(row, column))
                continue
        if row and here == table[row - 1][column] + 1:
            row -= 1
            pairs.append(Pair(row, None))
        else:
            column -= 1
            pairs.append(Pair(None, column))
    return pairs[::-1]


def matches(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[int, int]]:
    """Positions of equal words that the alignment puts side by side."""
    return [
        (pair.reference, pair.hypothesis)
        for pair in align(reference, hypothesis)
        if pair.reference is not None
        and pair.hypothesis is not None
        and reference[pair.reference] == hypothesis[pair.hypothesis]
    ]


def errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    """The edits by kind."""
    substituted = deleted = inserted = 0
    for pair in align(reference, hypothesis):
        if pair.hypothesis is None:
            deleted += 1
        elif pair.reference is None:
            inserted += 1
        elif reference[pair.reference] != hypothesis[pair.hypothesis]:
            substituted += 1
    return Errors(substituted, deleted, inserted, len(reference))


def _distances(reference: Sequence[str], hypothesis: Sequence[str]) -> list[list[int]]:
    table = [list(range(len(hypothesis) + 1))]
    for number, expected in enumerate(reference, start=1):
        above, row = table[-1], [number]
        for column, found in enumerate(hypothesis, start=1):
            row.append(min(above[column - 1] + (expected != found), above[column] + 1, row[column - 1] + 1))
        table.append(row)
    return table
