"""Speaking to the service, with its real engine."""

from pathlib import Path

import pytest

from bench.quality import talks
from bench.quality.endurance import endurance, speech_spans
from bench.quality.recordings import read_folder
from bench.quality.streaming import in_virtual_time
from bench.quality.truth import spoken_words
from bench.quality.whole_window import WholeWindowWhisper
from transcription_svc.config import TranscriptionConfig

SPEECH = Path("tests/data")

pytestmark = pytest.mark.engines


def test_a_recording_is_heard_in_virtual_time() -> None:
    """With results in its own time, as plain Whisper hears it, and without a fault."""
    (recording,) = read_folder(SPEECH, language="en")
    talk = talks.single(recording)
    words = spoken_words(talk, WholeWindowWhisper(TranscriptionConfig()).words)
    with in_virtual_time() as say:
        results = say(talk)
    found = endurance(talk, results, words, speech_spans(words), cpu_s=1.0)
    assert found.faults == []
    assert found.figures.errors.rate <= 0.1
    assert found.figures.flicker.taken_back == 0
    assert 0.0 < found.figures.first_shown_s.median_s < 4.0
    assert 0.0 < found.figures.committed_s.median_s < 4.0
