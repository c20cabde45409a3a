"""Amazon's results as segments: text that is committed is never taken back, and no segment grows too long.

Amazon ends a result where it hears a pause, which may take long. So what it marks as stable is cut at the
ends of sentences, and at a clause before `max_segment_s`; the rest of the result goes on as the next segment.
When a connection breaks, the audio since the last final result is sent again. What was committed of the open
segment is then found again in what the new connection says, and stays. Pure: values in, values out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.engines.amazon.hearing import Heard, HeardWord
from transcription_svc.engines.base import SegmentResult
from transcription_svc.sentences import ends_clause, sentence_end
from transcription_svc.stabilizer import FlaggedItem, continuation, flagged_caption
from transcription_svc.words import bare, join, key

_MARGIN_S = 0.6
"""How long before the longest time of a segment a place to cut is looked for."""
_FRESH_S = 1.0
"""Words so young are not cut off, stable or not, when a segment has to end."""
_CHOICE_S = 2.0
"""Near its longest time a segment shows stable text up to clauses only, so that it can be cut after one."""
_OVERLAP = SAMPLE_RATE_HZ // 20
"""A word that ends within 50 ms of what is already answered is the end of that, heard again."""


@dataclass(frozen=True, slots=True)
class _Open:
    """The words of the open segment as known now."""

    words: tuple[HeardWord, ...] = ()
    committed: int = 0


class SegmentBuilder:
    """Follows one stream through all its connections."""

    def __init__(self, *, first_segment: int, max_segment_s: float, language: str, partials: bool) -> None:
        self._number = first_segment
        self._longest = int(max_segment_s * SAMPLE_RATE_HZ)
        self._language = language
        self._partials = partials
        self._open = _Open()
        self._done: list[str] = []
        self._result_id: str | None = None
        self._shown = ""
        self._stable = 0
        self._revision = 0
        self.settled = 0
        """Audio before this position has its final text."""

    @property
    def is_open(self) -> bool:
        """Whether there is text that is not final."""
        return bool(self._open.words or self._shown)

    def take(self, heard: Heard) -> list[SegmentResult]:
        """Take the next result of the connection."""
        if heard.result_id != self._result_id:
            self._result_id, self._done = heard.result_id, []
        self._merge(heard)
        results = self._cut_sentences()
        results += self._cut_long(now=heard.end, everything=heard.final)
        if heard.final:
            results += self._close(heard.end)
        elif self._open.words and self._partials:
            results += self._partial(heard.end)
        return results

    def overdue(self, position: int) -> list[SegmentResult]:
        """End a segment of which nothing was heard although its longest time has passed."""
        words = self._open.words
        if not words or position - words[0].start < self._longest + SAMPLE_RATE_HZ:
            return []
        return [self._cut(len(words))]

    def restart(self) -> None:
        """The connection is gone: another will hear the audio from `settled` again."""
        self._result_id, self._done = None, []
        self._open = _Open(self._open.words[: self._open.committed], self._open.committed)

    def finish(self) -> list[SegmentResult]:
        """No more results come: what is open ends as it is known."""
        return self._close(self._open.words[-1].end if self._open.words else self.settled)

    def _merge(self, heard: Heard) -> None:
        fresh = [word for word in heard.words if self._done or word.end > self.settled + _OVERLAP]
        kept = self._open.words[: self._open.committed]
        said = [*self._done, *(key(word.text) for word in kept)]
        keys = [key(word.text) for word in fresh]
        rest = len(said) if keys[: len(said)] == said else continuation(said, keys)
        words = [*kept, *fresh[rest:]]
        if kept and 0 < rest <= len(fresh) and keys[rest - 1] == said[-1]:
            words[len(kept) - 1] = _respelt(kept[-1], fresh[rest - 1])
        committed = len(kept)
        while committed < len(words) and (heard.final or words[committed].stable):
            committed += 1
        self._open = _Open(tuple(words), committed)

    def _cut_sentences(self) -> list[SegmentResult]:
        results = []
        while count := self._sentence_cut():
            results.append(self._cut(count))
        return results

    def _sentence_cut(self) -> int:
        """Number of words of the first sentence that may be cut off; 0 for none."""
        texts = [word.text for word in self._open.words[: self._open.committed]]
        count = sentence_end(texts, self._language)
        if 0 < count < self._stable:  # what was shown as stable goes on behind it
            later = sentence_end(texts[self._stable :], self._language)
            return self._stable + later if later else 0
        return count

    def _cut_long(self, *, now: int, everything: bool) -> list[SegmentResult]:
        results = []
        while count := self._long_cut(now, everything=everything):
            results.append(self._cut(count))
        return results

    def _long_cut(self, now: int, *, everything: bool) -> int:
        """Number of words after which the open segment is to end because it is long; 0 for not yet."""
        words, committed = self._open.words, self._open.committed
        if not words:
            return 0
        begin = words[0].start
        length = (words[-1].end if everything else max(now, words[-1].end)) - begin
        if length <= self._longest - (0 if everything else _MARGIN_S * SAMPLE_RATE_HZ):
            return 0
        limit = begin + self._longest
        possible = [n for n in range(max(1, self._stable), committed + 1) if words[n - 1].end <= limit]
        clauses = [
            n for n in possible if self._is_clause(n) and words[n - 1].end - begin > self._longest // 3
        ]
        if clauses:
            return clauses[-1]
        if possible:
            return possible[-1]
        if length < self._longest:
            return 0
        old = [n for n, word in enumerate(words, 1) if word.end <= now - _FRESH_S * SAMPLE_RATE_HZ]
        return max([self._stable, *old])

    def _is_clause(self, count: int) -> bool:
        """Whether a clause ends after so many words."""
        return ends_clause(self._open.words[count - 1].text)

    def _cut(self, count: int) -> SegmentResult:
        """Make the first words final; the rest is the next segment."""
        words = self._open.words
        final = self._final(words[:count])
        self._done += [key(word.text) for word in words[:count]]
        self._open = _Open(words[count:], max(0, self._open.committed - count))
        return final

    def _close(self, end: int) -> list[SegmentResult]:
        """The result is final: so is all that is open."""
        words = self._open.words
        results = []
        if words:
            results.append(self._final(words))
        elif self._shown:
            # listeners have seen text of this segment, so it must end with some
            results.append(self._final((HeardWord(self._shown, self.settled, end),)))
        self._open, self._done, self._result_id = _Open(), [], None
        self.settled = max(self.settled, end)
        return results

    def _partial(self, now: int) -> list[SegmentResult]:
        words = self._open.words
        self._stable = self._stable_until(now)
        caption = flagged_caption([FlaggedItem(word.text, n < self._stable) for n, word in enumerate(words)])
        self._shown = caption.text
        self._revision += 1
        return [
            SegmentResult(
                segment=self._number,
                revision=self._revision - 1,
                text=caption.text,
                stable_text=caption.stable_text,
                is_final=False,
                stability=caption.stability,
                start=words[0].start,
                end=words[-1].end,
            )
        ]

    def _stable_until(self, now: int) -> int:
        """How many words to show as stable."""
        committed = self._open.committed
        if now - self._open.words[0].start < self._longest - _CHOICE_S * SAMPLE_RATE_HZ:
            return committed
        clauses = [n for n in range(self._stable + 1, committed + 1) if self._is_clause(n)]
        return clauses[-1] if clauses else self._stable

    def _final(self, words: Sequence[HeardWord]) -> SegmentResult:
        text = join(word.text for word in words)
        final = SegmentResult(
            segment=self._number,
            revision=self._revision,
            text=text,
            stable_text=text,
            is_final=True,
            stability=1.0,
            start=words[0].start,
            end=max(words[0].start, words[-1].end),
        )
        self._number += 1
        self._revision = 0
        self._shown, self._stable = "", 0
        self.settled = max(self.settled, final.end)
        return final


def _respelt(kept: HeardWord, heard: HeardWord) -> HeardWord:
    """The last committed word with the punctuation that is now heard behind it."""
    tail = heard.text[len(bare(heard.text)) :]
    return HeardWord(bare(kept.text) + tail, kept.start, kept.end, kept.stable)
