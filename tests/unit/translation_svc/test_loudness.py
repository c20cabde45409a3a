"""Loudness and levels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.loudness import (
    TARGET_LUFS,
    Samples,
    faded,
    finished,
    from_pcm,
    integrated_loudness,
    level,
    limit,
    to_pcm,
    trim_end,
)

RATE = 22_050


def _tone(seconds: float, *, amplitude: float = 1.0, hz: float = 997.0, rate: int = RATE) -> Samples:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_a_full_scale_tone_has_the_loudness_of_the_standard(rate: int) -> None:
    """BS.1770: 0 dBFS at 997 Hz in one channel is −3.01 LKFS."""
    assert integrated_loudness(_tone(3, rate=rate), rate) == pytest.approx(-3.01, abs=0.1)


def test_pauses_do_not_count() -> None:
    """Gating leaves out what is silent."""
    tone = _tone(2, amplitude=0.1)
    with_pause = np.concatenate([tone, np.zeros(4 * RATE), tone])
    assert integrated_loudness(with_pause, RATE) == pytest.approx(integrated_loudness(tone, RATE), abs=0.5)


def test_short_and_silent_clips_have_a_loudness_too() -> None:
    """A short one is one block; silence is minus infinity."""
    assert integrated_loudness(_tone(0.2), RATE) == pytest.approx(-3.0, abs=0.3)
    assert integrated_loudness(np.zeros(RATE), RATE) == -np.inf
    assert integrated_loudness(np.zeros(0), RATE) == -np.inf
    assert level(np.zeros(RATE), RATE, gain_db=0).max() == 0


@given(st.floats(0.001, 1.0), st.floats(-12, 3))
def test_levelling_hits_the_target(amplitude: float, gain_db: float) -> None:
    """Whatever the level before; the gain comes on top."""
    levelled = level(_tone(1, amplitude=amplitude), RATE, gain_db=gain_db)
    assert integrated_loudness(levelled, RATE) == pytest.approx(TARGET_LUFS + gain_db, abs=0.2)


@given(st.floats(0, 40))
def test_nothing_is_louder_than_full_scale(gain_db: float) -> None:
    """The limiter bends, and keeps the order of levels."""
    limited = limit(_tone(0.1) * 10 ** (gain_db / 20))
    assert np.abs(limited).max() <= 1.0
    ramp = limit(np.linspace(-2, 2, 101))
    assert (np.diff(ramp) > 0).all()


def test_the_end_is_trimmed_and_the_beginning_is_not() -> None:
    """60 ms stay, and of silence nothing."""
    clip = np.concatenate([np.zeros(RATE), _tone(1), np.zeros(RATE)])
    assert len(trim_end(clip, RATE)) == pytest.approx(2 * RATE + 0.06 * RATE, abs=30)
    assert len(trim_end(np.zeros(RATE), RATE)) == 0


def test_pcm_at_another_rate_keeps_its_length_and_level() -> None:
    """22,050 to 16,000 Hz."""
    pcm = to_pcm(_tone(1, amplitude=0.5), from_hz=RATE, to_hz=16_000)
    assert len(pcm) == 32_000
    assert np.abs(from_pcm(pcm)).max() == pytest.approx(0.5, abs=0.02)
    assert to_pcm(np.zeros(0), from_hz=RATE, to_hz=16_000) == b""


@given(st.integers(0, 2_000))
def test_a_clip_begins_and_ends_in_silence(length: int) -> None:
    """Of any length, and the middle of a longer one stays as it is."""
    shaped = faded(np.ones(length), RATE)
    assert len(shaped) == length
    if length > 3:
        assert shaped[0] == shaped[-1] == 0
    if length > RATE * 0.05:
        assert (shaped[RATE // 200 : length - RATE // 40] == 1).all()


def test_what_listeners_get_is_trimmed_levelled_and_faded() -> None:
    """In one step; silence gives nothing."""
    clip = np.concatenate([_tone(1, amplitude=0.05), np.zeros(RATE)])
    sound = from_pcm(finished(clip, from_hz=RATE, to_hz=16_000, gain_db=-3))
    assert len(sound) / 16_000 == pytest.approx(1.06, abs=0.01)
    assert integrated_loudness(sound, 16_000) == pytest.approx(TARGET_LUFS - 3, abs=0.5)
    assert np.abs(sound[[0, -1]]).max() < 0.001
    assert finished(np.zeros(RATE), from_hz=RATE, to_hz=16_000, gain_db=0) == b""


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(20, -23.0)], -26.0),
        ([(10, -36.0), (60, -23.0), (10, -36.0)], -26.0),
        ([(10, -72.0), (10, -36.0), (60, -23.0), (10, -36.0), (10, -72.0)], -26.0),
        ([(20, -26.0), (20.1, -20.0), (20, -26.0)], -26.0),
    ],
)
def test_the_meter_passes_the_broadcasters_own_test_signals(
    parts: list[tuple[float, float]], expected: float
) -> None:
    """EBU Tech 3341, minimum requirements 1 and 3 to 5: tones of 1 kHz, here in one channel instead of two,
    which is 3 dB less.
    """
    signal = np.concatenate(
        [_tone(s, amplitude=10 ** (dbfs / 20), hz=1_000, rate=48_000) for s, dbfs in parts]
    )
    assert integrated_loudness(signal, 48_000) == pytest.approx(expected, abs=0.1)
