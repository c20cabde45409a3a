"""What listeners see of a sentence that is still being spoken, in one language. Pure.

The speaker's words that a partial caption translates stay as they are, but their translation does not: each
further word may change what went before it. Three rules keep captions calm (after Arivazhagan et al.,
"Re-translation versus Streaming for Simultaneous Translation", 2020):

- a word is shown once two translations in a row agree on it and on all before it, and on HELD_BACK more words
  behind it; while nothing is shown yet, all words but the last UNCONFIRMED of a translation are, since short
  sentences often have only one before their final one;
- a caption only grows, whatever else a translation says;
- unless PERSISTENT translations in a row agree on something else: then it is corrected, for it would not grow
  any more until the final caption.

`python -m bench.quality captions` measures what that does and what it costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HELD_BACK = 2
UNCONFIRMED = 1
PERSISTENT = 2


@dataclass(slots=True)
class OpenCaption:
    """The caption of the open segment in one language."""

    segment: int = -1
    shown: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    """The translation before this one."""
    contradictions: int = 0
    """So many times in a row it was agreed on something else than what is shown."""

    def show(self, segment: int, text: str) -> str | None:
        """The caption now that what was said of `segment` is translated as `text`; None when it stays as it
        is, or `segment` is not the open one any more.
        """
        if segment < self.segment:
            return None
        if segment > self.segment:
            self.segment, self.shown, self.before, self.contradictions = segment, (), (), 0
        words = tuple(text.split())
        sure = common_words(self.before, words) - HELD_BACK
        if not self.shown:
            sure = max(sure, len(words) - UNCONFIRMED)
        agreed = words[: max(0, sure)]
        self.before = words
        return self._follow(agreed)

    def _follow(self, agreed: tuple[str, ...]) -> str | None:
        common = common_words(self.shown, agreed)
        if common == len(self.shown):
            self.contradictions = 0
            grown = (*self.shown, *agreed[common:])
        elif common == len(agreed):
            return None
        else:
            self.contradictions += 1
            if self.contradictions < PERSISTENT:
                return None
            self.contradictions = 0
            grown = agreed
        if grown == self.shown:
            return None
        self.shown = grown
        return " ".join(grown)


def common_words(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words both begin with, whatever their case and punctuation."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if _bare(first) != _bare(second):
            break
        count += 1
    return count


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word)).casefold() or word
