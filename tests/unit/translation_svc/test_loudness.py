"""Loudness and levels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.loudness import (
    TARGET_LUFS,
    Samples,
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
