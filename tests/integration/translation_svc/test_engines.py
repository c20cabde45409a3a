"""The real engines, end to end."""

import asyncio
import io
import re
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import pytest_asyncio

from babelcast.rpc.client import open_channel
from babelcast.translation.v1 import translation_pb2_grpc
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.glossary import Glossary
from translation_svc.loudness import TARGET_LUFS, from_pcm, integrated_loudness
from translation_svc.segments import Prosody
from translation_svc.turns import Urgency

if TYPE_CHECKING:
    from tests.integration.translation_svc.conftest import Owner, Stub

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

SIX = ["ca", "es", "fr", "gl", "it", "pt"]
SENTENCES = (
    "Buenos días a todos los que nos escuchan hoy en esta sala.",
    "La reunión comienza a las tres de la tarde.",
    "Nuestra ciudad tiene un río muy largo.",
    "Mañana hablaremos del futuro de la escuela.",
)


async def _translate(app: TranslationApp, text: str, source: str, target: str) -> str:
    return await app.interpreter.translate(
        text, source=source, target=target, glossary=Glossary(), urgency=Urgency.FINAL
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[TranslationApp]:
    """One service for all tests here: loading the engines takes seconds."""
    app = TranslationApp(TranslationConfig(translation_bind="127.0.0.1:0"))
    await app.start()
    yield app
    await app.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def stub(app: TranslationApp) -> AsyncIterator["Stub"]:
    """A client of it."""
    async with open_channel(f"127.0.0.1:{app.port}") as channel:
        yield translation_pb2_grpc.TranslationServiceStub(channel)


async def test_english_into_six_languages_at_once(owner: "Owner", app: TranslationApp) -> None:
    """Real sentences: right words, capitals, opening marks, full stops; then speech for each."""
    await owner.open()
    await owner.segment(1, "Have you ever seen a black cat?", *SIX)
    texts = await owner.texts(SIX)
    assert texts["es"].startswith("¿")
    for language, words in {
        "ca": "gat negre",
        "es": "gato negro",
        "fr": "chat noir",
        "gl": "gato negro",
        "it": "gatto nero",
        "pt": "gato preto",
    }.items():
        assert words in texts[language]
        assert texts[language].lstrip("¿")[0].isupper()
        assert texts[language].endswith("?")
    await owner.segment(2, "The meeting starts at nine o'clock tomorrow morning", *SIX, speak=True)
    answers = await owner.end()
    assert len(answers) == 12
    assert not any(answer.translation.text.endswith(".") for answer in answers)
    for answer in answers:
        if answer.HasField("speech"):
            assert 1_500 < answer.speech.duration_ms < 5_000
            assert len(answer.speech.pcm) == pytest.approx(answer.speech.duration_ms * 32, abs=32)


async def test_other_languages_into_english_and_each_other(app: TranslationApp) -> None:
    """The chains backwards."""
    cases = [
        ("es", "en", "¿Ha visto usted un gato negro?", "black cat"),
        ("fr", "en", "Est-ce que vous avez vu un chat noir ?", "black cat"),
        ("it", "en", "Ho visto un gatto nero.", "black cat"),
        ("ca", "en", "He vist un gat negre.", "black cat"),
        ("gl", "en", "Vin un gato negro na rúa.", "black cat"),
        ("pt", "en", "Eu vi um gato preto.", "black cat"),
        ("es", "fr", "He visto un gato negro.", "chat noir"),
        ("it", "es", "Ho visto un gatto nero.", "gato negro"),
    ]
    answers = await asyncio.gather(
        *(_translate(app, text, source, target) for source, target, text, _ in cases)
    )
    for (source, target, _, words), answer in zip(cases, answers, strict=True):
        assert words in answer, f"{source}-{target}: {answer}"


async def test_addresses_numbers_terms_and_odd_signs_survive(owner: "Owner") -> None:
    """Through models and rules; no marks of unknown words, no loops."""
    await owner.open(Babelcast=dict.fromkeys(SIX, "Babelcast"))
    text = (
        "Babelcast costs 12,50 at https://example.com/a_b?c=1 [ask] me@example.org"
        " ^now$ @home <b>fnord</b> ~x* \\."
    )
    await owner.segment(1, text, *SIX)
    for translated in (await owner.texts(SIX)).values():
        assert "Babelcast" in translated
        assert "https://example.com/a_b?c=1" in translated
        assert "me@example.org" in translated
        assert "@home" in translated
        assert "12,50" in translated
        assert not re.search(r"[*^{}<>~]|#\w", translated)
        assert len(translated) < 2 * len(text)
    await owner.end()


async def test_a_hundred_words_are_not_cut_off(app: TranslationApp) -> None:
    """The last words of a long sentence without any full stop are there."""
    text = "and then " * 60 + "the black cat slept on the red chair in the kitchen"
    assert "gato preto" in await _translate(app, text, "en", "pt")


async def test_markup_is_spoken_not_obeyed(app: TranslationApp) -> None:
    """A file-reading element is only words: it sounds, longer than the words around it."""
    for text in ('<audio src="/etc/passwd"/> & & </speak>', "a < b & c > d"):
        clip = await app.voice.speak(text, language="es", prosody=Prosody())
        plain = await app.voice.speak("a", language="es", prosody=Prosody())
        assert clip.duration_ms > 2 * plain.duration_ms
        assert np.abs(from_pcm(clip.pcm)).max() > 0.05


async def test_every_voice_is_clear_and_obeys_the_prosody(app: TranslationApp) -> None:
    """Loudness near the target, nothing clipped, no silent tail; faster is shorter, louder is louder.

    Faster over several sentences: where Pico pauses in one depends on what it said before.
    """
    for language in app.voice.languages:
        usual = await app.voice.speak(SENTENCES[0], language=language, prosody=Prosody())
        loudness = integrated_loudness(from_pcm(usual.pcm), 16_000)
        assert loudness == pytest.approx(TARGET_LUFS, abs=1.0), language
        assert np.abs(from_pcm(usual.pcm)).max() < 0.999
        assert np.abs(from_pcm(usual.pcm)[-1_600:]).max() > 0
        durations_ms = {
            rate: [
                (await app.voice.speak(text, language=language, prosody=Prosody(rate=rate))).duration_ms
                for text in SENTENCES
            ]
            for rate in (1.0, 1.4)
        }
        assert sum(durations_ms[1.4]) < 0.85 * sum(durations_ms[1.0]), language
        soft = await app.voice.speak(SENTENCES[0], language=language, prosody=Prosody(volume_db=-6))
        assert integrated_loudness(from_pcm(soft.pcm), 16_000) == pytest.approx(loudness - 6, abs=0.7)


async def test_opus_comes_when_asked_for_and_decodes_again(owner: "Owner") -> None:
    """The same length as the PCM."""
    await owner.open()
    await owner.segment(1, "Good morning, everyone.", "es", speak=True, opus=True)
    await owner.segment(2, "Good morning, everyone.", "es", speak=True)
    answers = await owner.end()
    with_opus, without = (answer.speech for answer in answers if answer.HasField("speech"))
    assert without.opus == b""
    with av.open(io.BytesIO(with_opus.opus), mode="r") as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples / 48 == pytest.approx(with_opus.duration_ms, abs=25)


async def test_three_streams_share_the_engines(stub: "Stub", owner: "Owner", app: TranslationApp) -> None:
    """Each gets all of its answers, and none waits for another to finish."""
    owners = [owner, type(owner)(stub), type(owner)(stub)]
    for index, each in enumerate(owners):
        await each.open()
        await each.segment(0, f"Warm up number {index}.", "es", "pt")
        await each.texts(["es", "pt"])

    async def talk(index: int) -> float:
        for number in range(1, 16):
            await owners[index].segment(number, f"Speaker {index} says sentence {number}.", "es", "pt")
        answers = await owners[index].end()
        assert len(answers) == 30
        return time.monotonic()

    started = time.monotonic()
    ends = [end - started for end in await asyncio.gather(*map(talk, range(3)))]
    assert max(ends) < 2.5 * min(ends)
