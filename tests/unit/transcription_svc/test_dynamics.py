"""How a segment was said."""

import numpy as np
import pytest

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.dynamics import (
    Dynamics,
    FrameTrack,
    Measures,
    describe,
    f0_hz,
    measure,
    pitches,
    syllables,
    updated,
)

USUAL = Measures(level_db=-20.0, energy=0.1, f0_hz=120.0, f0_range_st=4.0, syllables_per_s=4.0, speech_s=30.0)


def pulses(hz: float, seconds: float, level: float = 0.3) -> Samples:
    """A voice-like sound: many harmonics of one pitch."""
    t = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    harmonics = np.array([np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 12)])
    return np.asarray(level * harmonics.sum(axis=0), np.float32)


@pytest.mark.parametrize("hz", [80, 120, 220, 350])
def test_pitch_is_found(hz: float) -> None:
    """Pitches of low and high voices are found within 3 %."""
    assert f0_hz(pulses(hz, 0.064)) == pytest.approx(hz, rel=0.03)


def test_noise_and_silence_have_no_pitch() -> None:
    """What does not repeat has no pitch."""
    assert f0_hz(np.random.default_rng(1).normal(size=1024).astype(np.float32)) == 0.0
    assert f0_hz(np.zeros(1024, np.float32)) == 0.0


def test_a_segment_is_measured_over_its_speech() -> None:
    """Level and pitch come from the voiced frames between start and end only."""
    track = FrameTrack()
    for hz, level, probability in ((100, 0.3, 0.9), (100, 0.01, 0.0), (200, 0.1, 0.9)):
        sound = pulses(hz, 1.0, level)[: 31 * FRAME_SAMPLES]
        track.hear(sound, np.full(31, probability, np.float32))
    second = 31 * FRAME_SAMPLES
    speech = track.unmeasured()
    assert speech is not None
    track.take(pitches(speech))
    assert track.unmeasured() is None
    found = measure(track.between(2 * second, 3 * second), "so be it now")
    assert found is not None
    assert found.f0_hz == pytest.approx(200, rel=0.05)
    assert found.syllables_per_s == pytest.approx(4, rel=0.05)
    assert measure(track.between(second, 2 * second - FRAME_SAMPLES), "x") is None


def test_without_a_baseline_all_is_neutral() -> None:
    """The first segment is the usual."""
    assert describe(USUAL, None) == Dynamics(energy=0.1)
    assert describe(USUAL, USUAL).emotion == "neutral"
    assert updated(None, USUAL) == USUAL


@pytest.mark.parametrize(
    ("level_db", "f0", "rate", "emotion"),
    [
        (-12.0, 170.0, 5.5, "excited"),
        (-15.0, 120.0, 3.5, "emphatic"),
        (-28.0, 100.0, 3.0, "calm"),
        (-19.0, 122.0, 4.1, "neutral"),
    ],
)
def test_arousal_rule(level_db: float, f0: float, rate: float, emotion: str) -> None:
    """Louder, higher and faster is excited; louder without haste emphatic; less of all calm."""
    new = Measures(
        level_db=level_db, energy=0.2, f0_hz=f0, f0_range_st=4.0, syllables_per_s=rate, speech_s=2.0
    )
    found = describe(new, USUAL)
    assert found.emotion == emotion
    assert found.volume_db == pytest.approx(level_db + 20)
    assert found.rate == pytest.approx(rate / 4)
    assert 0.0 <= found.intensity <= 1.0


def test_values_stay_in_range() -> None:
    """A whisper after shouting is limited to what a voice can follow."""
    new = Measures(level_db=-90.0, energy=0.0, f0_hz=0.0, f0_range_st=0.0, syllables_per_s=20.0, speech_s=0.1)
    found = describe(new, USUAL)
    assert (found.volume_db, found.rate, found.intensity) == (-20.0, 2.0, 1.0)


def test_the_baseline_follows_slowly() -> None:
    """Ten seconds of another level move the baseline by a third of the way, a missing pitch not at all."""
    new = Measures(level_db=-10.0, energy=0.3, f0_hz=0.0, f0_range_st=4.0, syllables_per_s=4.0, speech_s=10.0)
    base = updated(USUAL, new)
    assert -18.0 < base.level_db < -16.0
    assert base.f0_hz == 120.0


def test_syllables_in_several_languages() -> None:
    """Groups of vowels, accents included."""
    assert [syllables(text) for text in ("country", "opérateur", "così", "")] == [2, 4, 2, 0]
