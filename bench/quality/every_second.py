"""The plain live recogniser: decodes its whole window anew each second and shows what comes of it.

A decode begins each second of audio, or as soon as the last one is over. What two decodes in a row begin with
counts as stable, but binds nothing. When the window has grown to 28 s, all segments but the last become final
and the window goes on with the last one.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from bench.quality.display import Shown
from bench.quality.talks import Talk
from bench.wer import normalise
from transcription_svc.audio import Samples

EVERY_S = 1.0
WINDOW_S = 28.0

Decode = Callable[[Samples, str], Sequence[tuple[str, float]]]
"""Samples and language to segments: text, and start in s."""


def every_second(
    talk: Talk, decode: Decode, *, tail_s: float, work_clock: Callable[[], float] = time.process_time
) -> list[Shown]:
    """All results to a talk and `tail_s` of silence.

    Moments are computed, not waited for: a decode takes what passes on `work_clock` meanwhile.
    """
    samples = np.concatenate((talk.samples, np.zeros(round(tail_s * SAMPLE_RATE_HZ), np.float32)))
    end_s = len(samples) / SAMPLE_RATE_HZ
    results: list[Shown] = []
    begin_s, now_s, heard_s, number = 0.0, 0.0, 0.0, 0
    before: list[str] = []
    while heard_s < end_s:
        heard_s = min(end_s, max(heard_s + EVERY_S, now_s))
        window = samples[round(begin_s * SAMPLE_RATE_HZ) : round(heard_s * SAMPLE_RATE_HZ)]
        began = work_clock()
        segments = list(decode(window, talk.language))
        now_s = heard_s + work_clock() - began
        if heard_s >= end_s or heard_s - begin_s >= WINDOW_S:
            kept = segments[-1:] if heard_s < end_s and len(segments) > 1 else []
            said = _text(segments[: len(segments) - len(kept)])
            next_s = begin_s + kept[0][1] if kept else heard_s
            if said:
                results.append(Shown(now_s, number, said, said, True, begin_s, next_s))
            begin_s, number, segments, before = next_s, number + 1, kept, []
        words = _text(segments).split()
        if words:
            stable = " ".join(_agreed(before, words, talk.language))
            results.append(Shown(now_s, number, " ".join(words), stable, False, begin_s, heard_s))
        before = words
    return results


def _text(segments: Sequence[tuple[str, float]]) -> str:
    return " ".join(text for text, _ in segments)


def _agreed(before: Sequence[str], now: Sequence[str], language: str) -> Sequence[str]:
    """The words that both texts begin with."""
    count = 0
    for old, new in zip(before, now, strict=False):
        if normalise(old, language) != normalise(new, language):
            break
        count += 1
    return now[:count]
