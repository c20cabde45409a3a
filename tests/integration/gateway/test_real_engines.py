"""The real engines behind a gateway: what listeners get, and what they are told when an engine fails."""

import base64
import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest

from babelcast.auth.local_issuer import LocalIssuer
from tests.integration.gateway import stage as stages
from tests.integration.gateway.client import Client
from tests.integration.gateway.stage import Stage, Talk, eventually, staged
from translation_svc import opus
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.failures import EngineFailure
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.translators.base import Pair
from translation_svc.worker import WorkerProcess

pytestmark = pytest.mark.engines

PATIENCE_S = 40.0


@pytest.fixture
async def engines() -> AsyncIterator[TranslationApp]:
    """Translation, and one voice for all languages."""
    app = TranslationApp(
        TranslationConfig(
            translation_bind="127.0.0.1:0", translation_call_timeout_seconds=2.0, pico_for="nobody"
        )
    )
    await app.start()
    yield app
    await app.aclose()


@pytest.fixture
async def stage(
    tmp_path: Path, issuer: LocalIssuer, engines: TranslationApp, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """A gateway whose translation is the real service."""
    monkeypatch.setattr(stages, "ScriptedTranslation", lambda: engines._servicer)
    async with staged(tmp_path, issuer) as running:
        yield running


async def _caption(listener: Client, segment: int) -> str:
    caption = await listener.until(
        "caption", where=lambda m: m["segmentId"] == str(segment) and m["isFinal"], patience_s=PATIENCE_S
    )
    return str(caption["text"])


async def _voice(listener: Client, segment: int) -> None:
    await listener.until(
        "translatedAudio", where=lambda m: m["segmentId"] == str(segment), patience_s=PATIENCE_S
    )


def _notices(client: Client) -> list[tuple[str, str, str]]:
    return [
        (message["type"], message["component"], message["targetLanguage"])
        for message in client.seen
        if message["type"] in {"serviceDegraded", "systemRecovered"}
    ]


def _strike(worker: WorkerProcess, blow: signal.Signals) -> None:
    assert worker.pid is not None
    os.killpg(worker.pid, blow)


async def _listeners(stage: Stage, talk: Talk) -> tuple[Client, Client]:
    return await stage.listener(talk, "es"), await stage.listener(talk, "pt")


async def test_a_translator_that_hangs_shows_the_speaker_s_words_until_it_is_back(
    stage: Stage, engines: TranslationApp
) -> None:
    """Spanish gets one caption in English and one notice, then one of recovery; Portuguese nothing of it."""
    talk = await stage.talk()
    spanish, portuguese = await _listeners(stage, talk)
    talk.hearing.final(0, "The cat is black.")
    assert "gato" in await _caption(spanish, 0)
    await _voice(spanish, 0)
    _strike(engines.apertium.pipelines[Pair("pt", "es")], signal.SIGSTOP)
    talk.hearing.final(1, "The dog is white.")
    assert "branco" in await _caption(portuguese, 1)
    assert await _caption(spanish, 1) == "The dog is white."
    for segment, words in enumerate(("The house is big.", "The door is open."), start=2):
        talk.hearing.final(segment, words)
        assert await _caption(spanish, segment) != words
        await _voice(spanish, segment)
        await _voice(portuguese, segment)
    await talk.speaker.fence()
    told = [("serviceDegraded", "translation", "es"), ("systemRecovered", "translation", "es")]
    assert _notices(spanish) == _notices(talk.speaker) == told
    assert _notices(portuguese) == []


async def test_without_a_voice_there_are_captions_until_it_is_back(
    stage: Stage, engines: TranslationApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every language is told once that it has no voice, sentence after sentence has its caption, then once
    more that the voice is back.
    """
    talk = await stage.talk()
    spanish, portuguese = await _listeners(stage, talk)
    talk.hearing.final(0, "The cat is black.")
    for listener in (spanish, portuguese):
        await _voice(listener, 0)
    failed: list[str] = []
    speak = engines.voice.speak

    async def watched(text: str, *, language: str, prosody: Prosody, tier: Tier) -> Clip:
        try:
            return await speak(text, language=language, prosody=prosody, tier=tier)
        except EngineFailure:
            failed.append(language)
            raise

    monkeypatch.setattr(engines.voice, "speak", watched)
    with monkeypatch.context() as broken:
        for worker in engines.espeak.pool.workers:
            broken.setattr(worker, "_command", ("/nonexistent/engine",))
            _strike(worker, signal.SIGKILL)
        for segment in (1, 2):
            talk.hearing.final(segment, f"The dog number {segment} is white.")
            for listener in (spanish, portuguese):
                assert "branco" in (text := await _caption(listener, segment)) or "blanco" in text
        await eventually(lambda: sorted(failed) == ["es", "es", "pt", "pt"])
    for worker in engines.espeak.pool.workers:
        worker._rests_until = 0.0  # spare the test the rest
    for segment in (3, 4):
        talk.hearing.final(segment, f"The house number {segment} is big.")
        for listener in (spanish, portuguese):
            await _voice(listener, segment)
    for listener, language in ((spanish, "es"), (portuguese, "pt")):
        await listener.fence()
        told = [("serviceDegraded", "speech", language), ("systemRecovered", "speech", language)]
        assert _notices(listener) == told


async def test_a_clip_is_encoded_once_for_all_who_want_opus(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Per language, not per listener; it decodes to the length that it is said to have."""
    encoded: list[Clip] = []
    encode = opus.encode

    def counted(clip: Clip) -> bytes:
        encoded.append(clip)
        return encode(clip)

    monkeypatch.setattr(opus, "encode", counted)
    talk = await stage.talk()
    spanish = [await stage.listener(talk, "es", audio=audio) for audio in ("opus", "opus", "opus", "pcm")]
    portuguese = [await stage.listener(talk, "pt", audio=audio) for audio in ("opus", "opus")]
    await stage.listener(talk, "gl")
    talk.hearing.final(0, "The cat is black.")
    for listener in (*spanish, *portuguese):
        await _voice(listener, 0)
    assert len(encoded) == 2
    (voice,) = spanish[0].all("translatedAudio")
    assert (voice["format"], spanish[3].all("translatedAudio")[0]["format"]) == ("opus", "pcm")
    with av.open(io.BytesIO(base64.b64decode(voice["audioData"])), mode="r") as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples / 48_000 == pytest.approx(voice["duration"], abs=0.010)
