"""The way of one sentence: in at the speaker's socket, out at every listener's."""

import base64

from tests.integration.gateway.client import CHUNK
from tests.integration.gateway.stage import Stage
from tests.integration.gateway.stations import sound


async def test_a_sentence_reaches_its_listeners_as_caption_and_voice(stage: Stage) -> None:
    """Audio goes to transcription as it came; its final text comes back translated, shown and spoken."""
    talk = await stage.talk()
    spanish = await stage.listener(talk, "es")
    await talk.speaker.audio(CHUNK)
    assert await talk.hearing.heard(len(CHUNK)) == CHUNK
    talk.hearing.final(0, "Good morning.")

    transcript = await talk.speaker.until("transcript")
    assert (transcript["text"], transcript["isFinal"]) == ("Good morning.", True)
    caption = await spanish.until("caption")
    assert caption["text"] == "[es] Good morning."
    assert (caption["sourceText"], caption["targetLanguage"]) == ("Good morning.", "es")
    assert (caption["segmentId"], caption["isFinal"]) == ("0", True)
    voice = await spanish.until("translatedAudio")
    assert voice["sequenceNumber"] == 1
    assert base64.b64decode(voice["audioData"]) == sound(100)
    assert (voice["transcript"], voice["sourceText"]) == ("[es] Good morning.", "Good morning.")
    assert (voice["format"], voice["sampleRate"], voice["channels"]) == ("pcm", 16_000, 1)
    assert voice["duration"] == 0.1
    assert voice["dynamics"] == {
        "volume": -1.5,
        "rate": 1.1,
        "energy": 0.2,
        "emotion": "excited",
        "intensity": 0.75,
    }
    timing = voice["timing"]
    assert 0 <= timing["transcribed"] <= timing["translated"] <= timing["synthesized"] <= timing["sent"]
