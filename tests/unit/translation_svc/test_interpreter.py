"""What streams ask for."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from babelcast.errors import UnsupportedLanguage
from translation_svc.failures import EngineDied
from translation_svc.glossary import Glossary
from translation_svc.interpreter import EngineInterpreter
from translation_svc.segments import Clip, Prosody
from translation_svc.turns import Urgency

if TYPE_CHECKING:
    from tests.unit.translation_svc.conftest import FakeVoice


async def test_a_missing_route_names_what_there_is(interpreter: EngineInterpreter) -> None:
    """UnsupportedLanguage with the available targets."""
    with pytest.raises(UnsupportedLanguage) as refused:
        await interpreter.translate(
            "Hi.", source="en", target="de", glossary=Glossary(), urgency=Urgency.FINAL
        )
    assert refused.value.details["available"] == ["es", "fr", "pt"]


@pytest.mark.parametrize("text", ["", "...", "¿?"])
async def test_nothing_to_say_gives_an_empty_clip(
    interpreter: EngineInterpreter, voice: "FakeVoice", text: str
) -> None:
    """Without asking the voice."""
    clip = await interpreter.speak(text, language="es", prosody=Prosody())
    assert (clip.pcm, clip.duration_ms, voice.said) == (b"", 0, [])


async def test_the_voice_finishes_though_its_stream_is_cut(
    interpreter: EngineInterpreter, voice: "FakeVoice"
) -> None:
    """Else every other stream would wait for its restart."""
    voice.gate = asyncio.Event()
    speaking = asyncio.create_task(interpreter.speak("Hola", language="es", prosody=Prosody()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    voice.failure = EngineDied("voice")
    voice.gate.set()
    await asyncio.sleep(0)
    await interpreter.aclose()
    assert [language for language, _, _ in voice.said] == ["es"]


async def test_a_clip_becomes_opus(interpreter: EngineInterpreter) -> None:
    """In a thread."""
    assert (await interpreter.opus(Clip(b"\0\1" * 8_000, 16_000))).startswith(b"OggS")


async def test_closing_ends_what_is_under_way(interpreter: EngineInterpreter, voice: "FakeVoice") -> None:
    """Those who wait are told."""
    voice.gate = asyncio.Event()
    speaking = asyncio.create_task(interpreter.speak("Hola", language="es", prosody=Prosody()))
    await asyncio.sleep(0)
    await interpreter.aclose()
    with pytest.raises(asyncio.CancelledError):
        await speaking
