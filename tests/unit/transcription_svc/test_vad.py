"""Voice activity with the real network."""

import importlib.machinery
from pathlib import Path

import numpy as np
import pytest

from babelcast import wav
from babelcast.errors import ServiceUnavailable
from transcription_svc.audio import FRAME_SAMPLES, PcmReader, Samples
from transcription_svc.vad import SileroDetector

RATE = 16_000


@pytest.fixture(scope="module")
def detector() -> SileroDetector:
    """The network, loaded once."""
    return SileroDetector()


def speech(path: Path) -> Samples:
    """A WAV file's samples, whole frames only."""
    samples = PcmReader(RATE).read(wav.read(path).pcm)
    return samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]


def test_speech_is_speech(detector: SileroDetector, jfk_wav: Path) -> None:
    """Most of a talk is speech, its pauses are not."""
    found = detector.track().probabilities(speech(jfk_wav))
    assert 0.4 < float(np.mean(found > 0.5)) < 0.9


def test_chunks_make_no_difference(detector: SileroDetector, jfk_wav: Path) -> None:
    """Frame by frame the same comes out as in one go: the state is carried along."""
    samples = speech(jfk_wav)[: 100 * FRAME_SAMPLES]
    whole = detector.track().probabilities(samples)
    track = detector.track()
    parts = [track.probabilities(part) for part in np.split(samples, [0, 512, 512 * 4, 512 * 50])]
    assert np.allclose(np.concatenate(parts), whole, atol=1e-4)


@pytest.mark.parametrize("kind", ["silence", "white noise", "hum"])
def test_sounds_without_words_are_not(detector: SileroDetector, kind: str) -> None:
    """Ten seconds of silence, noise or mains hum hold no speech."""
    t = np.arange(10 * RATE // FRAME_SAMPLES * FRAME_SAMPLES) / RATE
    sounds = {
        "silence": np.zeros_like(t),
        "white noise": 0.1 * np.random.default_rng(2).normal(size=len(t)),
        "hum": 0.2 * np.sin(2 * np.pi * 50 * t) + 0.1 * np.sin(2 * np.pi * 150 * t),
    }
    found = detector.track().probabilities(sounds[kind].astype(np.float32))
    assert float(np.max(found)) < 0.5


def test_a_missing_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: importlib.machinery.ModuleSpec("x", None))
    with pytest.raises(ServiceUnavailable, match="faster-whisper"):
        SileroDetector()
