"""Pico's process, from inside."""

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from translation_svc.loudness import TARGET_LUFS, from_pcm, integrated_loudness
from translation_svc.voices.pico_worker import Request, make_handler, plain


@given(st.text(st.characters(exclude_categories=[])))
@example('<genfile file="/tmp/x.wav">a</genfile>')
@example("x" * 5_000)
@example("a\x00b\x1bc\ud800")
def test_no_text_becomes_markup_or_a_loop(text: str) -> None:
    """Nothing is left that begins an element, ends the text, or is longer than a word."""
    said = plain(text)
    assert not set("<>\\\0\x1b") & set(said)
    assert all(len(word) <= 60 for word in said.split())
    said.encode()


def test_words_stay_as_they_are() -> None:
    """Letters, signs and figures of five languages."""
    text = '¿Cuántos años? L\'été — «12,50 €» & 10:30, Größe: 3 % von "x".'
    assert plain(text) == text


@pytest.mark.parametrize("gain_db", [0.0, -6.0])
def test_sound_is_levelled(gain_db: float) -> None:
    """At the target plus the gain, with what is asked passed on."""
    asked: list[Request] = []

    def tone(request: Request) -> bytes:
        asked.append(request)
        return (2_000 * np.sin(np.arange(16_000) / 5)).astype("<i2").tobytes()

    request = Request("es-ES", "Hola", 1.2, 1.1, gain_db)
    pcm = make_handler(tone)(msgspec.msgpack.encode(request))
    assert asked == [request]
    assert integrated_loudness(from_pcm(pcm), 16_000) == pytest.approx(TARGET_LUFS + gain_db, abs=0.4)
