"""The real local voices: loudness of each, and text that looks like orders."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import pytest_asyncio

from babelcast.pcm import SAMPLE_RATE_HZ
from translation_svc.loudness import TARGET_LUFS, from_pcm, integrated_loudness
from translation_svc.segments import Clip, Prosody
from translation_svc.ssml import delivery, espeak_ssml
from translation_svc.voices.espeak import EspeakVoice
from translation_svc.voices.espeak_worker import VOICES, Request
from translation_svc.voices.pico import PicoVoice
from translation_svc.worker import Deadlines
from translation_svc.worker_loop import Reply

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

DEADLINES = Deadlines(start_s=60, call_s=30)
SHORT, LONG = "No.", "Uno, dos, tres, cuatro. Cinco, seis; siete: ocho. " * 4
MANNERS = (
    Prosody(),
    Prosody(volume_db=6, rate=1.4, emotion="excited", intensity=1),
    Prosody(volume_db=-6, rate=0.8, emotion="calm", intensity=1, pace=1.25),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def espeak() -> AsyncIterator[EspeakVoice]:
    """espeak-ng, warm."""
    async with contextlib.aclosing(EspeakVoice(deadlines=DEADLINES)) as voice:
        await voice.warm()
        yield voice


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pico() -> AsyncIterator[PicoVoice]:
    """Pico, warm."""
    async with contextlib.aclosing(PicoVoice(deadlines=DEADLINES)) as voice:
        await voice.warm()
        yield voice


def _check(clip: Clip, prosody: Prosody, name: str) -> None:
    """At the loudness of all voices plus the gain, nothing clipped, and silent at both ends."""
    samples = from_pcm(clip.pcm)
    loudness = integrated_loudness(samples, clip.sample_rate_hz)
    assert loudness == pytest.approx(TARGET_LUFS + prosody.volume_db, abs=2), name
    assert np.abs(samples).max() < 1
    assert np.abs(samples[[0, -1]]).max() < 0.01, name


async def _ask(voice: EspeakVoice, name: str, ssml: str, gain_db: float) -> Clip:
    """What the process makes of a markup, by any of its voices."""
    answer = await voice.pool.call(msgspec.msgpack.encode(Request(name, ssml, gain_db)))
    return Clip(msgspec.msgpack.decode(answer, type=Reply).body, SAMPLE_RATE_HZ)


@pytest.mark.parametrize("name", sorted({name for names in VOICES.values() for name in names}))
async def test_every_voice_of_espeak_is_as_loud_as_the_others(espeak: EspeakVoice, name: str) -> None:
    """A word and a long text, as usual, lively and calm."""
    for text in (SHORT, LONG):
        for prosody in MANNERS:
            gain_db = delivery(prosody).volume_db
            _check(await _ask(espeak, name, espeak_ssml(text, prosody), gain_db), prosody, name)


@pytest.mark.parametrize("language", ["de", "en", "es", "fr", "it"])
async def test_every_voice_of_pico_is_as_loud_as_the_others(pico: PicoVoice, language: str) -> None:
    """The same."""
    for text in (SHORT, LONG):
        for prosody in MANNERS:
            clip = await pico.speak(text, language=language, prosody=prosody)
            _check(clip, prosody, f"{language} {text[:3]} {prosody.emotion}")


@pytest.fixture
def unread(tmp_path: Path) -> Path:
    """A sound of 20 s that was never read."""
    path = tmp_path / "secret.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(22_050)
        sound.writeframes(b"\0\x20" * 20 * 22_050)
    os.utime(path, (0, time.time()))
    path.read_bytes()
    if not _was_read(path):
        pytest.skip("this file system does not note when a file is read")
    os.utime(path, (0, time.time()))
    return path


def _was_read(path: Path) -> bool:
    return path.stat().st_atime > 0


async def test_espeak_does_not_read_the_file_that_a_text_names(espeak: EspeakVoice, unread: Path) -> None:
    """The words of the element are spoken; as markup, the same would have been obeyed."""
    element = f'<audio src="{unread}">a</audio>'
    plain = await espeak.speak("Uno & dos.", language="es", prosody=Prosody())
    spoken = await espeak.speak(f"Uno & dos. {element}", language="es", prosody=Prosody())
    assert plain.duration_ms + 1_000 < spoken.duration_ms < 20_000
    assert not _was_read(unread)
    await _ask(espeak, "es+f2", f"<speak>{element}</speak>", 0.0)
    assert _was_read(unread)


WRITE = """
import sys
from py_nanotts import NanoTTS
NanoTTS().speak(f'<genfile file="{sys.argv[1]}">hola</genfile>', voice="es-ES")
"""


async def test_pico_does_not_write_the_file_that_a_text_names(
    pico: PicoVoice, unread: Path, tmp_path: Path
) -> None:
    """Nor read one; as markup, the same would have been obeyed."""
    written = tmp_path / "written.wav"
    plain = await pico.speak("Uno & dos.", language="es", prosody=Prosody())
    for element in (f'<genfile file="{written}">hola</genfile>', f'<play file="{unread}"/>'):
        spoken = await pico.speak(f"Uno & dos. {element}", language="es", prosody=Prosody())
        assert plain.duration_ms + 1_000 < spoken.duration_ms
    assert not written.exists()
    assert not _was_read(unread)
    await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", WRITE, str(written)], check=True, timeout=60
    )
    assert written.exists()


async def test_pico_comes_to_an_end_with_any_word(pico: PicoVoice) -> None:
    """Thousands of letters without a blank sent it into an endless loop."""
    clip = await pico.speak("x" * 2_000, language="es", prosody=Prosody(rate=1.5))
    assert clip.duration_ms > 1_000
