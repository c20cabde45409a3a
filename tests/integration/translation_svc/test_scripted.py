"""The scripted engines behind real gRPC, as a service with no setting but its engines has them."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from babelcast import scripted
from babelcast.config import load
from babelcast.translation.v1 import translation_pb2 as pb
from translation_svc.config import TranslationConfig

if TYPE_CHECKING:
    from tests.integration.translation_svc.conftest import Owner, Stub

DELAY_S = 0.3


@pytest.fixture
def config() -> TranslationConfig:
    """Scripted engines, on any free port."""
    environ = {
        "TRANSLATION_BIND": "127.0.0.1:0",
        "TRANSLATION_ENGINE": "scripted",
        "VOICE_ENGINE": "scripted",
        "SCRIPTED_DELAY_SECONDS": str(DELAY_S),
    }
    return load(TranslationConfig, environ)


async def test_a_service_says_that_it_is_scripted(stub: "Stub") -> None:
    """Every language into every other, by voices of that name."""
    found = await stub.ListLanguages(pb.ListLanguagesRequest())
    assert sorted(found.targets) == list(scripted.LANGUAGES)
    for source, targets in found.targets.items():
        assert list(targets.languages) == [each for each in scripted.LANGUAGES if each != source]
    assert all(list(voices.names) == [scripted.NAME] for voices in found.voices.values())


@pytest.mark.parametrize(("script", "number"), [(0, 0), (7, 31), (1023, 32767)])
async def test_every_language_gets_the_exact_text(owner: "Owner", script: int, number: int) -> None:
    """Nothing on the way changes a word: neither numbers nor spelling nor the calming of stammers."""
    languages = [each for each in scripted.LANGUAGES if each != "en"]
    text = scripted.sentence(script, number)
    await owner.open()
    await owner.segment(1, text, *languages)
    texts = await owner.texts(languages)
    assert texts == {language: scripted.translated(text, language) for language in languages}
    assert await owner.end() == []


async def test_partial_and_damaged_text_is_translated_word_by_word(owner: "Owner") -> None:
    """So captions grow as the sentence does."""
    await owner.open()
    await owner.segment(1, "Babi kebi", "es", final=False)
    assert await owner.texts(["es"]) == {"es": "Babies kebies"}
    await owner.segment(1, f"Babi kebi {scripted.DAMAGED} nile.", "es")
    assert await owner.texts(["es"]) == {"es": "Babies kebies krakes nilees."}


async def test_a_translation_takes_its_delay_and_has_a_voice(owner: "Owner") -> None:
    """Languages do not wait for each other; the clip is as long as its text."""
    text = scripted.sentence(1, 1)
    await owner.open()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await owner.segment(1, text, "es", "fr", "de", speak=True, opus=True)
    answers = [await owner.read() for _ in range(6)]
    took_s = loop.time() - began_s
    assert DELAY_S <= took_s < 2.5 * DELAY_S + 1.0
    voices = [answer.speech for answer in answers if answer.HasField("speech")]
    assert sorted(voice.language for voice in voices) == ["de", "es", "fr"]
    for voice in voices:
        expected_ms = 30 * len(scripted.translated(text, voice.language))
        assert voice.duration_ms == pytest.approx(expected_ms, rel=0.02)
        assert voice.opus.startswith(b"OggS")
