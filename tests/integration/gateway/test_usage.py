"""What a talk used and cost, from its engines to its speaker."""

import pytest

from babelcast.translation.v1 import translation_pb2 as mt
from tests.integration.gateway.client import CHUNK
from tests.integration.gateway.stage import Stage, eventually


async def test_the_speaker_is_told_at_the_end(stage: Stage) -> None:
    """The sums of all that was told beside answers, and of what was sent to transcription."""
    talk = await stage.talk()
    spanish = await stage.listener(talk, "es")
    await talk.speaker.audio(CHUNK)
    assert await talk.hearing.heard(len(CHUNK)) == CHUNK
    talk.hearing.final(0, "Good morning.")
    await spanish.until("translatedAudio")
    for characters in (1_000, 500):
        used = mt.Usage(
            component=mt.COMPONENT_TRANSLATION,
            engine="amazon",
            language="es",
            characters=characters,
            cost_usd=characters * 15e-6,
        )
        stage.translation.say(
            mt.StreamingTranslateResponse(
                translation=mt.Translation(segment=9, language="es", text="x"), usage=[used]
            )
        )
    pipeline = stage.room(talk).pipeline
    assert pipeline is not None
    await eventually(lambda: (told := pipeline.usage.told()).cost_usd > 0.02 and told.listener_hours > 0)
    ended = await talk.speaker.ask("sessionEnded", action="endSession")
    usage = ended["usage"]
    assert usage["costUsd"] == pytest.approx(0.0225)
    assert usage["costPerListenerHour"] > 0
    assert usage["engines"] == [
        {
            "component": "transcription",
            "engine": "script",
            "amount": round(len(CHUNK) / 32_000, 1),
            "unit": "second",
            "costUsd": 0,
        },
        {
            "component": "translation",
            "engine": "amazon",
            "language": "es",
            "amount": 1_500,
            "unit": "character",
            "costUsd": pytest.approx(0.0225),
        },
    ]
    assert "usage" not in await spanish.until("sessionEnded")


async def test_a_speaker_who_comes_back_is_told_all(stage: Stage) -> None:
    """The sums belong to the talk, not to the connection."""
    talk = await stage.talk()
    await talk.speaker.audio(CHUNK)
    assert await talk.hearing.heard(len(CHUNK)) == CHUNK
    again = await stage.client(token=stage.token())
    await again.ask(
        "connectionRefreshComplete",
        action="refreshConnection",
        sessionId=talk.session_id,
        role="speaker",
        resumeToken=talk.created["resumeToken"],
    )
    await again.audio(CHUNK)
    await talk.hearing.heard(len(CHUNK))
    ended = await again.ask("sessionEnded", action="endSession")
    (transcribed,) = ended["usage"]["engines"]
    assert transcribed["amount"] == pytest.approx(2 * len(CHUNK) / 32_000, abs=0.06)
    assert "costPerListenerHour" not in ended["usage"]


async def test_who_listens_while_the_speaker_is_away_counts(stage: Stage) -> None:
    """A talk's audience is not its speaker's connection's affair."""
    talk = await stage.talk()
    room = stage.room(talk)
    talk.speaker.drop()
    await eventually(lambda: room.speaker is None)
    await stage.listener(talk, "es")
    pipeline = room.pipeline
    assert pipeline is not None
    await eventually(lambda: pipeline.usage.told().listener_hours > 0)


async def test_time_listened_is_counted_without_a_speaker_to_tell(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a talk ends, all of it is in the metric."""
    counted: list[float] = []

    class Listened:
        def add(self, seconds: float) -> None:
            counted.append(seconds)

    monkeypatch.setattr("gateway.usage.LISTENED", Listened())
    talk = await stage.talk()
    await stage.listener(talk, "es")
    joined_ms = stage.desk.clock_ms()
    await eventually(lambda: stage.desk.clock_ms() > joined_ms)
    pipeline = stage.room(talk).pipeline
    assert pipeline is not None
    assert not counted
    await pipeline.aclose()
    assert sum(counted) > 0
