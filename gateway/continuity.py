"""What was shown stays, though another stream hears the same speech in other words. Pure.

When a transcription stream breaks in mid-sentence, the next one hears the sentence again from its start. It
may spell words differently, and end the segment sooner or later than the words that listeners have already
seen. Both are put together word by word, along the alignment with the fewest edits.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SIGNS = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class Joined:
    """`text` begins with all that was shown; `left` are the last words of it that were not heard again."""

    text: str
    left: str = ""


def join(shown: str, heard: str) -> Joined:
    """`shown`, and what `heard` has beyond it."""
    old, new = shown.split(), heard.split()
    if new[: len(old)] == old:
        return Joined(heard)
    costs = _edits(old, new)
    reached = _cheapest([row[-1] for row in costs])
    used = _cheapest(costs[-1])
    if reached < len(old) and costs[reached][-1] < costs[-1][used]:
        return Joined(shown, " ".join(old[reached:]))
    return Joined(" ".join(old + new[used:]))


def same_words(shown: str, heard: str) -> bool:
    """Whether `heard` begins with the words of `shown`, however they are spelt."""
    old, new = shown.split(), heard.split()
    return [_key(word) for word in old] == [_key(word) for word in new[: len(old)]]


def without_repeated(repeated: str, heard: str) -> Joined:
    """`heard` without the words at its start that were shown before it, in `repeated`.

    A `left` that is not empty says that `heard` ended before all of them had come. What begins otherwise is
    left as it is: then those words are not coming again.
    """
    old, new = repeated.split(), heard.split()
    if not old or not new:
        return Joined(heard, repeated)
    costs = _edits(old, new)
    reached = _cheapest([row[-1] for row in costs])
    used = _cheapest(costs[-1])
    if reached < len(old) and costs[reached][-1] < costs[-1][used] and costs[reached][-1] * 3 <= reached:
        return Joined("", " ".join(old[reached:]))
    if costs[-1][used] * 3 > len(old):
        return Joined(heard)
    return Joined(" ".join(new[used:]))


def _edits(old: Sequence[str], new: Sequence[str]) -> list[list[int]]:
    """Edits between each first part of `old` (rows) and each of `new` (columns), whatever their case."""
    one, other = [_key(word) for word in old], [_key(word) for word in new]
    rows = [list(range(len(other) + 1))]
    for count, expected in enumerate(one, start=1):
        above, row = rows[-1], [count]
        for column, found in enumerate(other, start=1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (expected != found)))
        rows.append(row)
    return rows


def _cheapest(costs: Sequence[int]) -> int:
    """Where the cost is least; the last of equals, so that a word misheard is not taken for one more."""
    return min(range(len(costs)), key=lambda index: (costs[index], -index))


def _key(word: str) -> str:
    return _SIGNS.sub("", word.casefold()) or word
