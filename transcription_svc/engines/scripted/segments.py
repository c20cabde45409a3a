"""Words that were heard as segments: a pause ends one, and so does its longest time. Pure."""

from babelcast import scripted
from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.engines.base import SegmentResult, StreamOptions
from transcription_svc.engines.scripted.hearing import Heard

CLOSE_MS = 400
"""Silence that ends a segment."""


class SegmentBuilder:
    """Follows one stream. Words that have ended are stable; the one under way is shown and may go."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._longest = int(options.max_segment_s * SAMPLE_RATE_HZ)
        self._number = options.first_segment
        self._revision = 0
        self._words: list[Heard] = []
        self._begins = True
        self._shown = ""

    def add(self, word: Heard) -> list[SegmentResult]:
        """Take the next word; returns the segment that ended before it, if one did: by a pause that came in
        one piece of sound with the word, or since it would grow too long.
        """
        results = self.pause(word.start)
        if self._words and word.end - self._words[0].start > self._longest:
            results = self._close(paused=False)
        self._words.append(word)
        return results

    def pause(self, until: int) -> list[SegmentResult]:
        """Nothing is said up to a position: ends the open segment if that is a pause."""
        if self._words and until - self._words[-1].end >= CLOSE_MS * SAMPLE_RATE_HZ // 1000:
            return self._close(paused=True)
        return []

    def partial(self, under_way: Heard | None) -> list[SegmentResult]:
        """What to show of the open segment, if it has changed."""
        if not self._options.partial_results or not (self._words or under_way):
            return []
        heard = [*self._words, *([under_way] if under_way else [])]
        text = self._text(heard, ends=False)
        if text == self._shown:
            return []
        self._shown = text
        self._revision += 1
        return [
            SegmentResult(
                segment=self._number,
                revision=self._revision - 1,
                text=text,
                stable_text=self._text(self._words, ends=False),
                is_final=False,
                stability=1.0 if under_way is None else len(self._words) / len(heard),
                start=heard[0].start,
                end=heard[-1].end,
            )
        ]

    def finish(self) -> list[SegmentResult]:
        """No more words come."""
        return self._close(paused=True) if self._words else []

    def _close(self, *, paused: bool) -> list[SegmentResult]:
        text = self._text(self._words, ends=paused)
        final = SegmentResult(
            segment=self._number,
            revision=self._revision,
            text=text,
            stable_text=text,
            is_final=True,
            stability=1.0,
            start=self._words[0].start,
            end=self._words[-1].end,
        )
        self._number += 1
        self._revision, self._words, self._begins, self._shown = 0, [], paused, ""
        return [final]

    def _text(self, words: list[Heard], *, ends: bool) -> str:
        return scripted.written((word.text for word in words), begins=self._begins, ends=ends)
