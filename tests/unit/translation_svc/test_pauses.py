"""Shorter pauses."""

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.pauses import shorten
from translation_svc.segments import Clip

RATE_HZ = 16_000


def _clip(*parts_s: float) -> Clip:
    """Tone and silence in turn, beginning with tone, s each."""
    parts = []
    for number, length_s in enumerate(parts_s):
        times = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
        parts.append(8_000 * np.cos(2 * np.pi * 1_000 * times) if number % 2 == 0 else 0 * times)
    return Clip(np.concatenate(parts).astype("<i2").tobytes(), RATE_HZ, engine="fake", characters=7)


def _silences_s(clip: Clip) -> list[float]:
    quiet = np.convolve(np.abs(np.frombuffer(clip.pcm, "<i2").astype(int)), np.ones(16), "same") < 16
    runs = [(silent, sum(1 for _ in run)) for silent, run in groupby(quiet)]
    return [length / RATE_HZ for silent, length in runs if silent]


def test_long_pauses_are_cut_and_short_ones_stay() -> None:
    """All else stays as it is."""
    before = _clip(0.5, 0.6, 0.3, 0.05, 0.4, 0.3)
    after = shorten(before, longest_s=0.1)
    assert np.allclose(_silences_s(after), [0.1, 0.05, 0.1], atol=0.003)
    assert after.duration_ms == before.duration_ms - 700
    assert (after.engine, after.characters) == ("fake", 7)
    assert after.pcm.count(b"\x40\x1f") == before.pcm.count(b"\x40\x1f")


def test_a_clip_without_long_pauses_is_the_same() -> None:
    """And an empty one."""
    clip = _clip(0.5, 0.05, 0.5)
    assert shorten(clip, longest_s=0.1) is clip
    empty = Clip(b"", RATE_HZ)
    assert shorten(empty, longest_s=0.1) is empty


def test_there_is_no_click_where_faint_noise_is_cut() -> None:
    """The ends fade into each other."""
    noise = np.random.default_rng(3).normal(0, 20, RATE_HZ).clip(-80, 80)
    ramp = np.linspace(-80, 80, RATE_HZ)
    for quiet in (noise, ramp):
        after = np.frombuffer(shorten(Clip(quiet.astype("<i2").tobytes(), RATE_HZ), longest_s=0.2).pcm, "<i2")
        assert len(after) == round(0.2 * RATE_HZ)
        steps = np.abs(np.diff(after.astype(int))).max()
        assert steps <= np.abs(np.diff(quiet)).max() + 3


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=8), st.floats(0.0, 0.4))
def test_nothing_but_silence_goes(parts_s: list[float], longest_s: float) -> None:
    """However sound and silence lie; whole samples stay."""
    before, after = _clip(*parts_s), shorten(_clip(*parts_s), longest_s=longest_s)
    assert len(after.pcm) % 2 == 0
    assert len(after.pcm) <= len(before.pcm)
    loud = [np.abs(np.frombuffer(clip.pcm, "<i2").astype(int)) > 4_000 for clip in (before, after)]
    assert loud[0].sum() == loud[1].sum()
