"""What the owner says and hears of voices that are behind."""

from babelcast.translation.v1 import translation_pb2 as mt
from tests.integration.gateway.client import Client
from tests.integration.gateway.stage import Stage, Talk, eventually
from tests.integration.gateway.stations import sound


def _speech(segment: int, *merged: int, pace: float = 1.0) -> mt.StreamingTranslateResponse:
    speech = mt.Speech(
        segment=segment,
        language="es",
        pcm=sound(2_000),
        sample_rate_hz=16_000,
        duration_ms=2_000,
        merged=merged,
        pace=pace,
    )
    return mt.StreamingTranslateResponse(speech=speech)


def _over(segment: int) -> mt.StreamingTranslateResponse:
    return mt.StreamingTranslateResponse(spoken_over=mt.SpokenOver(segment=segment, language="es"))


async def _say(talk: Talk, listener: Client, *segments: int) -> None:
    """Sentences, until their captions are there."""
    for segment in segments:
        talk.hearing.final(segment, f"Sentence {segment}.", end_ms=100 * segment)
        await listener.until("caption", where=lambda m: m["segmentId"] == str(segment))  # noqa: B023 - awaited here


async def test_sentences_that_are_spoken_as_one_have_one_number(stage: Stage) -> None:
    """All of them are in the message, in order, with how quickly it is spoken."""
    talk = await stage.talk()
    stage.translation.script.mute = {"es"}
    listener = await stage.listener(talk)
    await _say(talk, listener, 0, 1, 2, 3)
    stage.translation.say(_speech(0))
    stage.translation.say(_speech(1, 2, pace=1.2))
    stage.translation.say(_over(3))
    single = await listener.until("translatedAudio")
    assert "segmentIds" not in single
    assert (single["pace"], single["sequenceNumber"]) == (1.0, 1)
    both = await listener.until("translatedAudio")
    assert (both["segmentId"], both["segmentIds"]) == ("1", ["1", "2"])
    assert both["transcript"] == "[es] Sentence 1. [es] Sentence 2."
    assert both["sourceText"] == "Sentence 1. Sentence 2."
    assert (both["pace"], both["sequenceNumber"]) == (1.2, 2)
    assert both["timing"]["heard"] > single["timing"]["heard"] + 1_000
    over = await listener.until("spokenOver")
    assert (over["segmentId"], over["targetLanguage"]) == ("3", "es")
    await _say(talk, listener, 4)
    stage.translation.say(_speech(4))
    assert (await listener.until("translatedAudio"))["sequenceNumber"] == 3


async def test_what_is_merged_or_spoken_over_is_not_asked_for_again(stage: Stage) -> None:
    """After a cut only what was not answered is, with what is still to be heard of the voice."""
    talk = await stage.talk()
    stage.translation.script.mute = {"es"}
    listener = await stage.listener(talk)
    await _say(talk, listener, 0, 1, 2, 3)
    asked = stage.translation.segments[0]
    assert (asked.targets[0].unplayed_ms, asked.ended_ago_ms >= 0) == (0, True)
    stage.translation.say(_speech(0, 1))
    stage.translation.say(_over(2))
    await listener.until("spokenOver")
    stage.translation.cut()
    await eventually(lambda: len(stage.translation.configs) == 2 and len(stage.translation.asked("es")) == 5)
    again = stage.translation.segments[-1]
    assert again.segment == 3
    assert 1_000 < again.targets[0].unplayed_ms <= 2_000
    stage.translation.say(_speech(0, 1, 3))  # the first two have been heard
    voice = await listener.until("translatedAudio", where=lambda m: m["sequenceNumber"] == 2)
    assert voice["segmentId"] == "3"
    assert "segmentIds" not in voice
    assert voice["transcript"] == "[es] Sentence 3."
    assert [m["segmentId"] for m in listener.all("caption")] == ["0", "1", "2", "3"]


async def test_a_sentence_corrected_after_it_was_merged_is_shown_and_not_spoken_again(stage: Stage) -> None:
    """What was said before the correction came stays said."""
    talk = await stage.talk()
    stage.translation.script.mute = {"es"}
    listener = await stage.listener(talk)
    await _say(talk, listener, 0, 1)
    stage.translation.script.hanging = {"es"}
    await talk.speaker.send(action="editTranscript", segmentId="1", text="Corrected.")
    await eventually(lambda: any(segment.text == "Corrected." for segment in stage.translation.segments))
    stage.translation.say(_speech(0, 1))
    voice = await listener.until("translatedAudio")
    assert (voice["segmentId"], voice["transcript"]) == ("0", "[es] Sentence 0.")
    corrected = mt.Translation(segment=1, revision=1, language="es", text="Corregida.", is_final=True)
    stage.translation.say(mt.StreamingTranslateResponse(translation=corrected))
    caption = await listener.until("caption")
    assert (caption["segmentId"], caption["text"]) == ("1", "Corregida.")
    stage.translation.say(_speech(1))
    stage.translation.say(_over(1))
    await listener.fence()
    assert len(listener.all("translatedAudio")) == 1
    assert listener.all("spokenOver") == []


async def test_only_those_who_hear_voices_are_told_what_is_not_spoken(stage: Stage) -> None:
    """Captions alone are whole without it."""
    talk = await stage.talk()
    stage.translation.script.mute = {"es"}
    reader, listener = await stage.listener(talk, audio="none"), await stage.listener(talk)
    await _say(talk, listener, 0)
    stage.translation.say(_over(0))
    await listener.until("spokenOver")
    await reader.fence()
    assert reader.all("spokenOver") == []


async def test_who_comes_back_is_told_what_was_spoken_over_meanwhile(stage: Stage) -> None:
    """In its place between the voices, once."""
    talk = await stage.talk()
    stage.translation.script.mute = {"es"}
    away, listener = await stage.listener(talk), await stage.listener(talk)
    joined = away.all("sessionJoined")[0]
    await _say(talk, listener, 0)
    stage.translation.say(_speech(0))
    await away.until("translatedAudio")
    away.drop()
    await _say(talk, listener, 1, 2)
    stage.translation.say(_over(1))
    stage.translation.say(_speech(2))
    await listener.until("translatedAudio", where=lambda m: m["sequenceNumber"] == 2)
    back = await stage.client()
    await back.ask(
        "connectionRefreshComplete",
        action="refreshConnection",
        sessionId=talk.session_id,
        resumeToken=joined["resumeToken"],
        lastSequenceNumber=1,
    )
    voice = await back.until("translatedAudio")
    assert (voice["segmentId"], voice["sequenceNumber"]) == ("2", 2)
    assert [m["segmentId"] for m in back.all("caption")] == ["1", "2"]
    assert [m["segmentId"] for m in back.all("spokenOver")] == ["1"]
