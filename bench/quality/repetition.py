"""Loops of a recogniser: words that are said again at once, again and again. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 30
"""Words of the longest run that is looked for; what repeats later than that is the speaker's own doing."""
_TIMES_FOR_ONE = 4
_TIMES_FOR_TWO = 3
_TIMES = 2


@dataclass(frozen=True, slots=True)
class Loop:
    """A run of words that follows itself."""

    words: tuple[str, ...]
    times: int


def loops(words: Sequence[str]) -> list[Loop]:
    """All loops, the shortest run at each place: one word 4 times, two words 3 times, or more words twice."""
    found: list[Loop] = []
    start = 0
    while start < len(words):
        loop = _loop_at(words, start)
        if loop is None:
            start += 1
        else:
            found.append(loop)
            start += len(loop.words) * loop.times
    return found


def invented_loops(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Loop]:
    """The loops of the hypothesis whose words do not loop in the reference as well."""
    spoken = {loop.words for loop in loops(reference)}
    return [loop for loop in loops(hypothesis) if loop.words not in spoken]


def _loop_at(words: Sequence[str], start: int) -> Loop | None:
    for length in range(1, min(LONGEST, (len(words) - start) // 2) + 1):
        run = tuple(words[start : start + length])
        times = 1
        while tuple(words[start + times * length : start + (times + 1) * length]) == run:
            times += 1
        if times >= {1: _TIMES_FOR_ONE, 2: _TIMES_FOR_TWO}.get(length, _TIMES):
            return Loop(run, times)
    return None
