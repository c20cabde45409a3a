"""What every side of the port of voices does, and must."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from babelcast.pcm import SAMPLE_RATE_HZ
from tests.aws_local import REGION
from translation_svc.aws import AwsSettings
from translation_svc.failures import EngineFailure
from translation_svc.loudness import TARGET_LUFS, from_pcm, integrated_loudness
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.voices.base import Voice
from translation_svc.voices.espeak import EspeakVoice
from translation_svc.voices.pico import PicoVoice
from translation_svc.voices.polly import PollyVoice
from translation_svc.voices.scripted import ScriptedVoice
from translation_svc.voices.tiered import TieredVoice
from translation_svc.worker import Deadlines

if TYPE_CHECKING:
    from tests.aws_local import AwsLocal

TEXT = "Uno, dos, tres, cuatro, cinco, seis, siete."


def _make(name: str) -> Voice:
    deadlines = Deadlines(start_s=60, call_s=30)
    if name == "espeak":
        return EspeakVoice(deadlines=deadlines, processes=2)
    if name == "pico":
        return PicoVoice(deadlines=deadlines)
    if name == "tiered":
        return TieredVoice(usual=EspeakVoice(deadlines=deadlines), better=PicoVoice(deadlines=deadlines))
    if name == "scripted":
        return ScriptedVoice()
    return PollyVoice(settings=AwsSettings(region=REGION, call_timeout_s=20))


@pytest.fixture(
    params=[
        *(pytest.param(name, marks=pytest.mark.engines) for name in ("espeak", "pico", "tiered")),
        "polly",
        "scripted",
    ]
)
async def voice(request: pytest.FixtureRequest, aws: "AwsLocal") -> AsyncIterator[Voice]:
    """Each side, warm."""
    async with contextlib.aclosing(_make(request.param)) as made:
        await made.warm()
        yield made


async def _say(
    voice: Voice, text: str = TEXT, *, prosody: Prosody | None = None, tier: Tier = Tier.STANDARD
) -> Clip:
    return await voice.speak(text, language="es", prosody=prosody or Prosody(), tier=tier)


def _loudness(clip: Clip) -> float:
    return integrated_loudness(from_pcm(clip.pcm), clip.sample_rate_hz)


@pytest.mark.parametrize("tier", Tier)
async def test_a_sentence_is_heard(voice: Voice, tier: Tier) -> None:
    """Whole samples at our rate, at the loudness of all voices, and what it is charged for."""
    clip = await _say(voice, tier=tier)
    assert clip.sample_rate_hz == SAMPLE_RATE_HZ
    assert len(clip.pcm) % 2 == 0
    assert 1_000 < clip.duration_ms < 10_000
    assert _loudness(clip) == pytest.approx(TARGET_LUFS, abs=2)
    assert clip.engine
    assert clip.characters == len(TEXT)


async def test_the_speaker_s_manner_is_heard(voice: Voice) -> None:
    """Faster is shorter, softer is softer."""
    usual = await _say(voice)
    assert (await _say(voice, prosody=Prosody(rate=1.4))).duration_ms < 0.85 * usual.duration_ms
    soft = await _say(voice, prosody=Prosody(volume_db=-6))
    assert _loudness(soft) == pytest.approx(_loudness(usual) - 6, abs=2)


@pytest.mark.parametrize("emotion", ["neutral", "calm", "excited", "emphatic", "unheard-of"])
@pytest.mark.parametrize("tier", Tier)
async def test_every_manner_is_taken(voice: Voice, emotion: str, tier: Tier) -> None:
    """No prosody is refused, not even one out of bounds."""
    prosody = Prosody(volume_db=40, rate=9, emotion=emotion, intensity=1)
    assert (await _say(voice, prosody=prosody, tier=tier)).pcm


async def test_markup_is_spoken_not_obeyed(voice: Voice) -> None:
    """Text is text, whatever it looks like."""
    lively = Prosody(rate=1.2)
    short = await _say(voice, "Uno.", prosody=lively)
    marked = await _say(voice, 'Uno. <audio src="/etc/passwd"/> & <break time="9s"/>', prosody=lively)
    assert short.duration_ms < marked.duration_ms < short.duration_ms + 8_000


async def test_the_longest_text_is_spoken(voice: Voice) -> None:
    """A translation may be longer than the 2,000 characters of a segment."""
    clip = await _say(voice, " ".join([TEXT] * 80))
    assert clip.duration_ms > 60_000


async def test_sentences_at_once_get_their_own_sounds(voice: Voice) -> None:
    """Whoever asks while others do hears the own sentence."""
    texts = [" ".join(["Uno, dos, tres."] * (number + 1)) for number in range(5)]
    clips = await asyncio.gather(*(_say(voice, text) for text in texts))
    lengths = [clip.duration_ms for clip in clips]
    assert lengths == sorted(set(lengths))


async def test_a_language_that_it_lacks_is_a_failure(voice: Voice) -> None:
    """It fails by name, and others are spoken as before."""
    assert "es" in voice.languages
    assert voice.names("es")
    assert voice.names("xx") == []
    with pytest.raises(EngineFailure):
        await voice.speak("a", language="xx", prosody=Prosody())
    assert (await _say(voice)).pcm


async def test_it_can_be_closed_twice(voice: Voice) -> None:
    """Closing is idempotent."""
    await voice.aclose()
    await voice.aclose()
