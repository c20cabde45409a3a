"""Folders of speech: 16-bit mono WAV files and an index.json, a list of {"file", "language", "text"}."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from babelcast import wav
from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples

_FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A sound and what is said in it."""

    name: str
    language: str
    text: str
    samples: Samples
    """16 kHz mono."""

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.samples) / SAMPLE_RATE_HZ


def read_folder(folder: Path, *, language: str | None = None) -> list[Recording]:
    """The recordings of a folder, only those in `language` if given.

    Raises: OSError, InvalidAudioFormat.
    """
    entries = json.loads((folder / "index.json").read_text())
    return [
        Recording(
            entry["file"], entry["language"], entry["text"], samples_of(wav.read(folder / entry["file"]))
        )
        for entry in entries
        if language in (None, entry["language"])
    ]


def samples_of(sound: wav.Sound) -> Samples:
    """The samples of a sound of any rate."""
    samples = np.frombuffer(sound.pcm, dtype="<i2").astype(np.float32) / np.float32(_FULL_SCALE)
    if sound.sample_rate_hz == SAMPLE_RATE_HZ:
        return samples
    resampled: Samples = soxr.resample(samples, sound.sample_rate_hz, SAMPLE_RATE_HZ)
    return resampled


def pcm_of(samples: Samples) -> bytes:
    """Signed 16-bit little-endian PCM; what is too loud is clipped."""
    scaled = np.clip(samples * _FULL_SCALE, -_FULL_SCALE, _FULL_SCALE - 1)
    return bytes(np.round(scaled).astype("<i2").tobytes())
