"""Whisper as it comes: faster-whisper with its defaults, as a measure for the service.

Defaults are: windows of 30 s, beam search of 5, up to five more tries at rising temperature for what looks
wrong, the text before as a prompt, no voice detection. Weights, int8 arithmetic and one thread are the same
as the service's.

*Whole file* knows the whole recording before it says a word: what the weights can do. *Every second* is the
plain live system: it decodes the window anew each second (or as soon as the last decode is over), shows all
of it, and takes for stable what two decodes in a row begin with. When the window has grown to 28 s, all
segments but the last become final and the window goes on with the last one.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel

from babelcast.pcm import SAMPLE_RATE_HZ
from bench.quality.display import Shown
from bench.quality.recordings import Recording
from bench.quality.streaming import TAIL_MS
from bench.quality.talks import Talk
from bench.quality.truth import TimedWord
from bench.wer import normalise
from transcription_svc.audio import Samples
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.model import find_model

EVERY_S = 1.0
WINDOW_S = 28.0
_SEED = 1
"""For the tries at higher temperature."""


class WholeWindowWhisper:
    """One thread, no pace of its own: moments are computed from the CPU time that decodes take."""

    def __init__(self, config: TranscriptionConfig) -> None:
        """Load the weights that the service uses."""
        model = find_model(
            model_dir=config.model_path, data_dir=Path(config.data_dir), download=config.model_download
        )
        self._model = WhisperModel(
            model.name, device="cpu", compute_type="int8", cpu_threads=1, files=dict(model.files)
        )
        self._words: dict[int, list[TimedWord]] = {}

    def whole_file(self, samples: Samples, language: str) -> str:
        """The text of all of it."""
        return " ".join(text for text, _ in self._segments(samples, language))

    def words(self, recording: Recording) -> list[TimedWord]:
        """What is said in a recording and when; each recording is decoded once."""
        known = self._words.get(id(recording))
        if known is None:
            segments, _ = self._model.transcribe(
                recording.samples, language=recording.language, word_timestamps=True
            )
            known = [
                TimedWord(text, float(word.start), float(word.end))
                for segment in segments
                for word in segment.words or ()
                for text in normalise(word.word, recording.language)
            ]
            self._words[id(recording)] = known
        return known

    def every_second(self, talk: Talk) -> list[Shown]:
        """The plain live system; times are s from the first sample."""
        tail = np.zeros(TAIL_MS * SAMPLE_RATE_HZ // 1000, np.float32)
        samples = np.concatenate((talk.samples, tail))
        end_s = len(samples) / SAMPLE_RATE_HZ
        results: list[Shown] = []
        begin_s, now_s, heard_s, number = 0.0, 0.0, 0.0, 0
        before: list[str] = []
        while heard_s < end_s:
            heard_s = min(end_s, max(heard_s + EVERY_S, now_s))
            window = samples[int(begin_s * SAMPLE_RATE_HZ) : int(heard_s * SAMPLE_RATE_HZ)]
            cpu_before = time.process_time()
            segments = self._segments(window, talk.language)
            now_s = heard_s + time.process_time() - cpu_before
            over, full = heard_s >= end_s, heard_s - begin_s >= WINDOW_S
            if over or full:
                kept = [] if over or len(segments) < 2 else segments[-1:]
                said = " ".join(text for text, _ in segments[: len(segments) - len(kept)])
                next_s = begin_s + kept[0][1] if kept else heard_s
                results.append(Shown(now_s, number, said, said, True, begin_s, next_s))
                begin_s, number, before = next_s, number + 1, []
                segments = [(text, 0.0) for text, _ in kept]
            words = " ".join(text for text, _ in segments).split()
            stable = _agreed(before, words, talk.language)
            before = words
            if words:
                text = " ".join(words)
                results.append(Shown(now_s, number, text, " ".join(stable), False, begin_s, heard_s))
        return results

    def _segments(self, samples: Samples, language: str) -> list[tuple[str, float]]:
        """Texts and their starts in s."""
        ctranslate2.set_random_seed(_SEED)
        segments, _ = self._model.transcribe(samples, language=language)
        return [(segment.text.strip(), float(segment.start)) for segment in segments]


def _agreed(before: Sequence[str], now: Sequence[str], language: str) -> Sequence[str]:
    """The words that both texts begin with."""
    count = 0
    for old, new in zip(before, now, strict=False):
        if normalise(old, language) != normalise(new, language):
            break
        count += 1
    return now[:count]
