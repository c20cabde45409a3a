"""Long talks made of recordings."""

import numpy as np
import pytest

from babelcast import wav
from babelcast.pcm import SAMPLE_RATE_HZ
from bench.degrade import speech_power
from bench.quality import talks
from bench.quality.recordings import Recording, pcm_of, samples_of
from transcription_svc.audio import Samples


def tone(seconds: float, *, level: float = 0.2) -> Samples:
    """A sound."""
    at = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * 300 * at)).astype(np.float32)


def quiet(seconds: float) -> Samples:
    """Silence."""
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)


def recording(text: str, seconds: float, language: str = "en") -> Recording:
    """Someone who hums for half of the time."""
    return Recording(text, language, text, np.concatenate((tone(seconds / 2), quiet(seconds / 2))))


ONE, TWO, OTHER = recording("one", 2.0), recording("two", 1.0), recording("uno", 3.0, "es")
HISS = Recording("hiss", "es", "", np.random.default_rng(2).normal(0, 0.1, 40_000).astype(np.float32))


def test_recordings_follow_each_other_until_the_time_is_full() -> None:
    """Again and again, with their places known."""
    talk = talks.joined("talk", [ONE, TWO], language="en", pause_s=0.5, seconds=5.0)
    assert [(piece.recording.text, piece.start_s) for piece in talk.pieces] == [
        ("one", 0.0),
        ("two", 2.5),
        ("one", 4.0),
    ]
    assert talk.seconds == 6.5
    assert talk.text == "one two one"
    for piece in talk.pieces:
        start = round(piece.start_s * SAMPLE_RATE_HZ)
        there = talk.samples[start : start + len(piece.recording.samples)]
        np.testing.assert_array_equal(there, piece.recording.samples)


def test_a_talk_needs_a_recording() -> None:
    """Rather than never to end."""
    with pytest.raises(ValueError, match="needs a recording"):
        talks.joined("talk", [], language="en", pause_s=0.5, seconds=5.0)


def test_a_talk_without_pauses_has_sound_everywhere() -> None:
    """Silence inside of recordings and between them is gone, but for the edges of sounds."""
    talk = talks.without_pauses([ONE, TWO], seconds=5.0)
    frames = talk.samples[: len(talk.samples) // 1600 * 1600].reshape(-1, 1600)
    assert np.abs(frames).max(axis=1).min() > 0.1
    assert talk.pieces[1].start_s == pytest.approx(1.06, abs=0.03)
    assert talk.pauses(at_least_s=0.1) == []


def test_nothing_but_silence_and_nothing_at_all_can_be_tightened() -> None:
    """Without failing."""
    assert len(talks.without_silence(quiet(0.001))) == 16
    talks.without_silence(quiet(1.0))


def test_long_pauses_are_quiet_but_not_digital_silence() -> None:
    """Twenty seconds of a room after each recording."""
    talk = talks.with_long_pauses([ONE, TWO], np.random.default_rng(1), seconds=30.0)
    assert talk.pauses(at_least_s=5.0) == [(2.0, 22.0), (23.0, 43.0)]
    pause = talk.samples[3 * SAMPLE_RATE_HZ : 21 * SAMPLE_RATE_HZ]
    assert -70 < 20 * np.log10(np.sqrt(np.mean(pause**2))) < -60


def test_two_languages_take_turns_and_one_is_told() -> None:
    """The text is that of the language that the recogniser is told."""
    talk = talks.in_two_languages([ONE, TWO], [OTHER], seconds=7.0)
    assert [piece.recording.text for piece in talk.pieces] == ["one", "uno", "two"]
    assert talk.language == "en"
    assert talk.text == "one two"


@pytest.mark.parametrize("kind", ["white", "babble"])
def test_noise_is_laid_over_at_the_level_asked_for(kind: str) -> None:
    """Measured against the talk itself, and within full scale."""
    plain = talks.joined("plain", [ONE], language="en", pause_s=0.5, seconds=10.0)
    random = np.random.default_rng(1)
    noisy = (
        talks.in_white_noise(plain, random, snr_db=0.0)
        if kind == "white"
        else talks.in_babble(plain, [HISS], random, snr_db=0.0)
    )
    gain = float(np.dot(noisy.samples, plain.samples) / np.dot(plain.samples, plain.samples))
    noise = noisy.samples - np.float32(gain) * plain.samples
    snr_db = 10 * np.log10(
        gain**2 * speech_power(plain.samples) / np.mean(np.square(noise, dtype=np.float64))
    )
    assert snr_db == pytest.approx(0.0, abs=1.0)
    assert np.abs(noisy.samples).max() <= 0.91
    assert noisy.pieces == plain.pieces


def test_samples_survive_pcm_and_resampling() -> None:
    """Within rounding; what is too loud is clipped."""
    samples = tone(0.5)
    np.testing.assert_allclose(samples_of(wav.Sound(pcm_of(samples), SAMPLE_RATE_HZ)), samples, atol=1e-4)
    assert samples_of(wav.Sound(pcm_of(2 * tone(0.1, level=1.0)), SAMPLE_RATE_HZ)).max() <= 1.0
    assert len(samples_of(wav.Sound(pcm_of(samples), 8_000))) == 2 * len(samples)


def test_there_is_a_hard_talk_of_each_kind() -> None:
    """In the first language, with others as company."""
    random = np.random.default_rng(1)
    kinds = list(talks.hard([ONE, OTHER, TWO], random, seconds=5.0))
    assert [talk.name for talk in kinds] == [
        "no pause",
        "long pauses",
        "en and es",
        "plain",
        "white noise, 0 dB",
        "babble, 0 dB",
    ]
    assert {talk.language for talk in kinds} == {"en"}
    assert len(list(talks.hard([ONE, TWO], random, seconds=5.0))) == 5
