"""The voice's process, from inside."""

import msgspec
import numpy as np
import pytest

from translation_svc.loudness import TARGET_LUFS, from_pcm, integrated_loudness
from translation_svc.voices.espeak_worker import VOICES, Request, make_handler, respell


def _tone_with_silence(ssml: str, voice: str) -> bytes:
    times = np.arange(22_050) / 22_050
    tone = (2_000 * np.sin(2 * np.pi * 440 * times)).astype("<i2").tobytes()
    return tone + bytes(2 * 6_615)


@pytest.mark.parametrize("gain_db", [0.0, -6.0, 3.0])
def test_sound_is_trimmed_levelled_and_at_16_khz(gain_db: float) -> None:
    """300 ms of silence go, the loudness is the target plus the gain."""
    handle = make_handler(_tone_with_silence, 22_050)
    pcm = handle(msgspec.msgpack.encode(Request("es+f2", "<speak/>", gain_db)))
    assert len(pcm) / 32_000 == pytest.approx(1.06, abs=0.01)
    assert integrated_loudness(from_pcm(pcm), 16_000) == pytest.approx(TARGET_LUFS + gain_db, abs=0.4)


def test_every_language_has_two_voices() -> None:
    """At least, and no voice twice."""
    for voices in VOICES.values():
        assert len(set(voices)) == len(voices) >= 2


def test_galician_is_respelt_for_the_spanish_voice() -> None:
    """Unha and xente; other languages are left alone."""
    assert respell("Unha xente, exemplo", "gl") == "Una shente, eshemplo"
    assert respell("unha xente", "pt") == "unha xente"
    assert {"ca", "es", "fr", "gl", "it", "pt", "en"} <= VOICES.keys()
