"""A recorded talk through the whole system."""

import pytest

from babelcast.pcm import duration_ms
from babelcast.wav import read
from bench import measures
from bench.talk import Heard, Talk, hold
from cli import places
from tests.e2e.served import Served

pytestmark = pytest.mark.engines


async def test_speech_becomes_captions_and_voice(system: Served) -> None:
    """What is said is transcribed, translated, captioned and spoken, each sentence once and in order."""
    talk = await hold(
        system.url,
        token=system.token,
        speech=read(places.SPEECH),
        source_language="en",
        target_languages=["es", "fr", "en"],
    )
    said = " ".join(transcript.text for transcript in talk.finals()).lower()
    assert "fellow americans" in said
    assert "your country" in said
    assert talk.problems == []
    spanish, french, english = talk.listeners
    for heard in (spanish, french):
        _assert_whole(heard, talk)
    assert "país" in _finals(spanish)
    assert "pays" in _finals(french)
    assert english.voices == []
    assert english.captions == []


def _assert_whole(heard: Heard, talk: Talk) -> None:
    segments = [transcript.segment_id for transcript in talk.finals()]
    finals = [caption.segment_id for _, caption in heard.captions if caption.is_final]
    assert finals == segments
    assert [voice.message.segment_id for _, voice in heard.voices] == segments
    assert [voice.message.sequence_number for _, voice in heard.voices] == list(range(1, len(segments) + 1))
    assert heard.gaps == []
    partial = [caption for _, caption in heard.captions if not caption.is_final]
    assert partial, "captions come while a sentence is being said"
    spoken = measures.spans(talk, measures.activity(read(places.SPEECH)))
    assert all(lag.delay_s < 5 for lag in measures.voice_lags(heard, spoken))
    for _, voice in heard.voices:
        message = voice.message
        assert message.target_language == heard.language
        assert message.transcript
        assert abs(duration_ms(voice.audio, message.sample_rate) / 1000 - message.duration) < 0.05
        timing = message.timing
        assert 0 < timing.transcribed <= timing.translated <= timing.synthesized <= timing.sent < 5_000
        assert message.dynamics.emotion in {"neutral", "calm", "excited", "emphatic"}


def _finals(heard: Heard) -> str:
    return " ".join(caption.text for _, caption in heard.captions if caption.is_final)
