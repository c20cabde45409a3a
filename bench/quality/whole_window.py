"""Whisper as it comes: faster-whisper with its defaults, as a measure for the service.

Defaults are: windows of 30 s, beam search of 5, up to five more tries at rising temperature for what looks
wrong, the text before as a prompt, no voice detection. Weights, int8 arithmetic and one thread are the same
as the service's.

It hears a file as a whole, which shows what the weights can do, or live, as `every_second` tells.
"""

from pathlib import Path

import ctranslate2
from faster_whisper import WhisperModel

from bench.quality.display import Shown
from bench.quality.every_second import every_second
from bench.quality.recordings import Recording
from bench.quality.streaming import TAIL_MS
from bench.quality.talks import Talk
from bench.quality.truth import TimedWord
from bench.wer import normalise
from transcription_svc.audio import Samples
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.model import find_model

_SEED = 1
"""For the tries at higher temperature."""


class WholeWindowWhisper:
    """One thread, no pace of its own."""

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

    def live(self, talk: Talk) -> list[Shown]:
        """The plain live system; times are s from the first sample."""
        return every_second(talk, self._segments, tail_s=TAIL_MS / 1000)

    def _segments(self, samples: Samples, language: str) -> list[tuple[str, float]]:
        """Texts and their starts in s."""
        ctranslate2.set_random_seed(_SEED)
        segments, _ = self._model.transcribe(samples, language=language)
        return [(segment.text.strip(), float(segment.start)) for segment in segments]
