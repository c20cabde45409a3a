"""Which words of a growing text will stay: the words that successive hypotheses agree on (LocalAgreement).

Macháček, Dabre, Bojar: Turning Whisper into a Real-Time Transcription System (2023). A word that n
hypotheses in a row begin with, and everything before it, is taken to stay with probability 1 − 0.38ⁿ; what
reaches the wanted stability is committed and never taken back, whatever later hypotheses say.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transcription_svc.words import bare, join, key

__all__ = [
    "Caption",
    "FlaggedItem",
    "Stabilizer",
    "agreements_for",
    "continuation",
    "flagged_caption",
    "key",
    "prefix_distances",
    "text_stability",
    "word_stability",
]

_DOUBT = 0.38
"""Share of the words at the end of a partial result that the next one takes back."""


def word_stability(agreed: int) -> float:
    """Probability, 0.0 to 1.0, that a word in which `agreed` hypotheses in a row agree stays to the end."""
    return 1.0 - _DOUBT**agreed


def text_stability(words: Iterable[float]) -> float:
    """The stability of a text, whatever engine heard it: the mean probability that a word of it stays.

    A committed word, and one that an engine promises not to change, counts 1.0. No words are sure to stay so.
    """
    found = list(words)
    return sum(found) / len(found) if found else 1.0


def agreements_for(stability: float) -> int:
    """How many hypotheses in a row must agree for a stability between 0 and 1; at least 2."""
    return max(2, math.ceil(math.log(1.0 - stability) / math.log(_DOUBT) - 1e-9))


@dataclass(frozen=True, slots=True)
class Caption:
    """A text and how much of it stays."""

    text: str
    stable_text: str
    """A leading part of `text`."""
    stability: float
    """What `text_stability` says of it, 0.0 to 1.0."""


@dataclass(frozen=True, slots=True)
class FlaggedItem:
    """A word of an engine that itself says which words will stay, as Amazon Transcribe does."""

    text: str
    """With the punctuation that follows it."""
    stable: bool


def flagged_caption(items: Sequence[FlaggedItem]) -> Caption:
    """The caption of a partial result of such an engine.

    The leading stable items are the stable text. A stable item counts 1.0 in the stability, another one as
    much as a word that was heard once. The engine's own threshold stands for the wanted stability.
    """
    leading = next((number for number, item in enumerate(items) if not item.stable), len(items))
    words = [item.text for item in items]
    return Caption(
        join(words),
        bare(join(words[:leading])),
        text_stability(1.0 if item.stable else word_stability(1) for item in items),
    )


class Stabilizer:
    """The text of one segment through its hypotheses."""

    def __init__(self, *, min_stability: float) -> None:
        self._needed = agreements_for(min_stability)
        self._committed: list[str] = []
        self._words: list[str] = []
        self._agreed: list[int] = []
        self.shift = 0
        """Position of a word in the newest hypothesis, minus its position in the text."""
        self.held_back = 0
        """So many words at the end are not shown yet; one word always is, and the committed ones."""

    @property
    def committed(self) -> int:
        """Number of committed words."""
        return len(self._committed)

    @property
    def words(self) -> Sequence[str]:
        """The newest text, committed words first."""
        return self._words

    def update(self, hypothesis: Sequence[str], *, commit_at_most: int | None = None) -> Caption:
        """Take the next hypothesis; commits no word behind the first `commit_at_most`."""
        words = self.merge(hypothesis)
        self.shift = len(hypothesis) - len(words)
        agreed: list[int] = []
        same = True
        for position, word in enumerate(words):
            same = same and position < len(self._words) and key(word) == key(self._words[position])
            agreed.append(self._agreed[position] + 1 if same else 1)
        self._words, self._agreed = words, agreed
        self._commit(len(words) if commit_at_most is None else min(len(words), commit_at_most))
        return self.caption()

    def agreed(self, count: int) -> bool:
        """Whether the last two hypotheses begin with the same `count` words."""
        return 0 < count <= len(self._agreed) and self._agreed[count - 1] > 1

    def merge(self, hypothesis: Sequence[str]) -> list[str]:
        """The committed words, then what `hypothesis` says after them."""
        kept = len(self._committed)
        if not kept:
            return list(hypothesis)
        rest = continuation([key(word) for word in self._committed], [key(word) for word in hypothesis])
        merged = [*self._committed, *hypothesis[rest:]]
        if 0 < rest <= len(hypothesis) and key(hypothesis[rest - 1]) == key(self._committed[-1]):
            stem = bare(self._committed[-1])
            merged[kept - 1] = stem + hypothesis[rest - 1][len(bare(hypothesis[rest - 1])) :]
        return merged

    def finish(self, hypothesis: Sequence[str]) -> str:
        """The final text: `hypothesis` where it does not take back what was committed."""
        return join(self.merge(hypothesis))

    def split(self, words: int) -> "Stabilizer":
        """A stabilizer for what follows the first `words` words, which become a segment of their own."""
        rest = Stabilizer(min_stability=word_stability(self._needed))
        rest._words = self._words[words:]
        rest._agreed = self._agreed[words:]
        rest._commit(len(rest._words))
        rest.held_back = self.held_back
        return rest

    def _commit(self, limit: int) -> None:
        count = len(self._committed)
        while count < limit and self._agreed[count] >= self._needed:
            count += 1
        # what follows a committed word may still change the punctuation behind it, not before the next one
        self._committed = self._words[:count]

    def caption(self) -> Caption:
        """The text as known now."""
        kept = self.committed
        shown = max(kept, min(1, len(self._words)), len(self._words) - self.held_back)
        chances = (1.0 if n < kept else word_stability(count) for n, count in enumerate(self._agreed[:shown]))
        return Caption(join(self._words[:shown]), bare(join(self._committed)), text_stability(chances))


def prefix_distances(said: Sequence[str], heard: Sequence[str]) -> list[int]:
    """Edit distance in words between `said` and each prefix of `heard`, from the empty one on."""
    row = list(range(len(heard) + 1))
    for position, word in enumerate(said, start=1):
        diagonal, row[0] = row[0], position
        for column, other in enumerate(heard, start=1):
            best = min(diagonal + (word != other), row[column] + 1, row[column - 1] + 1)
            diagonal, row[column] = row[column], best
    return row


def continuation(said: Sequence[str], heard: Sequence[str]) -> int:
    """How many words of `heard` cover `said`: the prefix with the smallest edit distance to it.

    Of equally good prefixes one that ends with the same word wins, then the one nearest in length to `said`.
    """
    row = prefix_distances(said, heard)

    def rank(length: int) -> tuple[int, bool, int]:
        same_end = bool(said) and length > 0 and heard[length - 1] == said[-1]
        return row[length], not same_end, abs(length - len(said))

    return min(range(len(row)), key=rank)
