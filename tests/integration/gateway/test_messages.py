"""Every message of the protocol that one session needs, with the fields of its answer."""

import asyncio
import base64
import functools
import json
import time

import pytest

from babelcast.transcription.v1 import transcription_pb2 as stt
from gateway.rooms import Room
from tests.integration.gateway.client import CHUNK
from tests.integration.gateway.stage import Stage, eventually
from tests.integration.gateway.stations import sound

SOON_MS = 60_000


def recent(timestamp_ms: object) -> bool:
    """Whether an epoch time in ms is about now."""
    return isinstance(timestamp_ms, int) and abs(timestamp_ms - time.time() * 1000) < SOON_MS


def only_listened_in(room: Room, language: str) -> bool:
    """Whether that language is the only one that the owner knows listeners of."""
    return list(room.session.audience.languages) == [language]


async def test_create_session(stage: Stage) -> None:
    """The answer repeats what was chosen, and transcription is told the same."""
    speaker = await stage.client(token=stage.token())
    created = await speaker.ask(
        "sessionCreated",
        action="createSession",
        sourceLanguage="en-GB",
        qualityTier="premium",
        partialResults=False,
        minStability=0.9,
        maxBufferTimeout=3,
        requestId="r-1",
    )
    hearing = await stage.transcription.opened()
    assert recent(created.pop("timestamp"))
    assert created.pop("expiresAt") > time.time() * 1000
    assert len(created.pop("connectionId")) >= 16
    assert len(created.pop("resumeToken")) >= 20
    session_id = created.pop("sessionId")
    assert created == {
        "type": "sessionCreated",
        "sourceLanguage": "en",
        "qualityTier": "premium",
        "partialResultsEnabled": False,
        "minStabilityThreshold": 0.9,
        "maxBufferTimeout": 3.0,
        "joinUrl": f"http://127.0.0.1:{stage.gateway.port}/{session_id}",
        "requestId": "r-1",
    }
    assert (hearing.config.language, hearing.config.quality_tier) == ("en", "premium")
    assert (hearing.config.min_stability, hearing.config.max_buffer_timeout_s) == (0.9, 3.0)
    assert (hearing.config.partial_results, hearing.config.sample_rate_hz) == (False, 16_000)


async def test_glossary_and_tier_reach_translation(stage: Stage) -> None:
    """What the speaker fixes is fixed for every sentence."""
    talk = await stage.talk(glossary={"Babelcast": {"es": "Babelcast"}}, qualityTier="premium")
    spanish = await stage.listener(talk)
    talk.hearing.final(0, "Hello.")
    await spanish.until("translatedAudio")
    config = stage.translation.configs[0]
    assert config.source_language == "en"
    assert config.quality_tier == "premium"
    assert [(entry.term, dict(entry.translations)) for entry in config.glossary] == [
        ("Babelcast", {"es": "Babelcast"})
    ]


async def test_join_session(stage: Stage) -> None:
    """A listener needs no token and learns how the talk stands."""
    talk = await stage.talk()
    await talk.speaker.ask("broadcastControlled", action="muteBroadcast")
    client = await stage.client()
    joined = await client.ask(
        "sessionJoined",
        action="joinSession",
        sessionId=talk.session_id,
        targetLanguage="es-MX",
        requestId="j",
    )
    assert recent(joined.pop("timestamp"))
    assert joined.pop("connectionId")
    assert joined.pop("resumeToken")
    assert recent(joined["broadcastState"].pop("lastStateChange"))
    assert joined == {
        "type": "sessionJoined",
        "sessionId": talk.session_id,
        "sourceLanguage": "en",
        "targetLanguage": "es",
        "listenerCount": 1,
        "qualityTier": "standard",
        "broadcastState": {"isActive": True, "isPaused": False, "isMuted": True, "volume": 1.0},
        "lastSequenceNumber": 0,
        "requestId": "j",
    }
    status = await talk.speaker.until("sessionStatus")
    assert status["updateReason"] == "newLanguage"
    assert status["languageDistribution"] == {"es": 1}


async def test_audio_as_json_and_binary(stage: Stage) -> None:
    """Both ways mean the same; an acknowledgement comes when asked for, at most once a second."""
    talk = await stage.talk()
    await talk.speaker.audio(
        CHUNK, ack=True, sequence=0, timestamp=1, format="pcm", channels=1, encoding="pcm_s16le"
    )
    received = await talk.speaker.until("audioReceived")
    assert (received["chunks"], received["duration"]) == (1, 0.1)
    await talk.speaker.socket.send(CHUNK)
    await talk.speaker.audio(CHUNK, ack=True)
    assert await talk.hearing.heard(3 * len(CHUNK)) == 3 * CHUNK
    await talk.speaker.fence()
    assert len(talk.speaker.all("audioReceived")) == 1
    stage.clock.now_s += 1
    await talk.speaker.audio(CHUNK, ack=True)
    assert (await talk.speaker.until("audioReceived"))["chunks"] == 4
    await talk.speaker.send(action="audioChunk", audioData=base64.b64encode(CHUNK).decode())
    await talk.hearing.heard(5 * len(CHUNK))
    assert talk.speaker.all("error") == []


@pytest.mark.parametrize(
    ("fields", "control", "notice", "state"),
    [
        ({"action": "controlBroadcast", "controlAction": "pause"}, "pause", "broadcastPaused", "isPaused"),
        ({"action": "pauseBroadcast"}, "pause", "broadcastPaused", "isPaused"),
        ({"action": "controlBroadcast", "controlAction": "mute"}, "mute", "broadcastMuted", "isMuted"),
        ({"action": "muteBroadcast"}, "mute", "broadcastMuted", "isMuted"),
    ],
)
async def test_controls_and_their_opposites(
    stage: Stage, fields: dict[str, str], control: str, notice: str, state: str
) -> None:
    """The speaker gets the state, the listeners the notice that fits, and the same for the way back."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    on = await talk.speaker.ask("broadcastControlled", **fields, sessionId=talk.session_id, requestId="c")
    assert (on["controlAction"], on["requestId"]) == (control, "c")
    assert on["broadcastState"][state] is True
    assert on["broadcastState"]["isActive"] is True
    assert on["listenersNotified"] == 1
    told = await listener.until(notice)
    assert told["broadcastState"] == on["broadcastState"]
    assert told["sessionId"] == talk.session_id

    undo = {"pause": "resume", "mute": "unmute"}[control]
    off = await talk.speaker.ask("broadcastControlled", action="controlBroadcast", controlAction=undo)
    assert (off["controlAction"], off["broadcastState"][state]) == (undo, False)
    await listener.until({"pause": "broadcastResumed", "mute": "broadcastUnmuted"}[control])
    alias = await talk.speaker.ask("broadcastControlled", action=f"{undo}Broadcast")
    assert alias["controlAction"] == undo
    await listener.fence()
    assert len([m for m in listener.seen if m["type"].startswith("broadcast")]) == 2


async def test_volume_and_several_controls_at_once(stage: Stage) -> None:
    """Both are answered by their name, and listeners are told once by the same name."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    volume = await talk.speaker.ask("volumeChanged", action="setVolume", volumeLevel=0.25, requestId="v")
    assert (volume["broadcastState"]["volume"], volume["requestId"]) == (0.25, "v")
    assert (await listener.until("volumeChanged"))["broadcastState"]["volume"] == 0.25
    both = await talk.speaker.ask(
        "speakerStateChanged", action="speakerStateChange", state={"isPaused": True, "isMuted": True}
    )
    expected = {"isPaused": True, "isMuted": True, "volume": 0.25, "isActive": True}
    assert {key: both["broadcastState"][key] for key in expected} == expected
    assert (await listener.until("speakerStateChanged"))["broadcastState"] == both["broadcastState"]


async def test_session_status(stage: Stage) -> None:
    """Speaker and listeners may ask; the count is exact."""
    talk = await stage.talk()
    listeners = [await stage.listener(talk, language) for language in ("es", "es", "fr", "en")]
    for client in (talk.speaker, listeners[0]):
        status = await client.ask("sessionStatus", action="getSessionStatus", requestId="s")
        if client is talk.speaker:  # it hears of changes as well
            while status["updateReason"] != "requested":
                status = await client.until("sessionStatus")
        assert status["listenerCount"] == 4
        assert status["languageDistribution"] == {"es": 2, "fr": 1, "en": 1}
        assert (status["isActive"], status["requestId"], status["updateReason"]) == (True, "s", "requested")
        assert status["sessionDuration"] >= 0
        assert status["createdAt"] < status["expiresAt"]
        assert status["broadcastState"]["volume"] == 1.0
        assert recent(status["timestamp"])


async def test_lag_of_each_language(stage: Stage) -> None:
    """The speaker sees how far behind each language is that somebody listens in; listeners do not."""
    talk = await stage.talk()
    listener = await stage.listener(talk, "es")
    talk.hearing.final(0, "Said before.")
    voice = await listener.until("translatedAudio")
    status = await talk.speaker.ask("sessionStatus", action="getSessionStatus", requestId="lag")
    while status["updateReason"] != "requested":
        status = await talk.speaker.until("sessionStatus")
    assert status["languageLag"] == {"es": voice["timing"]["heard"]}
    assert "languageLag" not in await listener.ask("sessionStatus", action="getSessionStatus")


async def test_change_language(stage: Stage) -> None:
    """From the answer on, all that comes is in the new language."""
    talk = await stage.talk()
    listener = await stage.listener(talk, "es")
    for action, language in (("changeLanguage", "fr"), ("switchLanguage", "pt-BR")):
        answer = await listener.ask("languageChanged", action=action, targetLanguage=language, requestId="l")
        code = language[:2]
        assert answer["targetLanguage"] == code
        assert (answer["sessionId"], answer["lastSequenceNumber"]) == (talk.session_id, 0)
        assert answer["requestId"] == "l"
        room = stage.room(talk)
        await eventually(functools.partial(only_listened_in, room, code))
        talk.hearing.final(0 if code == "fr" else 1, "Hello.")
        assert (await listener.until("translatedAudio"))["transcript"] == f"[{code}] Hello."
    assert stage.translation.asked("es") == []
    refused = await listener.refused(action="changeLanguage", targetLanguage="de")
    assert refused["code"] == "UNSUPPORTED_LANGUAGE"
    assert refused["details"]["available"] == ["en", "es", "fr", "pt"]
    same = await listener.ask("languageChanged", action="changeLanguage", targetLanguage="pt")
    assert same["lastSequenceNumber"] == 1
    talk.hearing.final(2, "Once.")
    await listener.until("translatedAudio", where=lambda m: m["segmentId"] == "2")
    await listener.fence()
    assert len([m for m in listener.all("translatedAudio") if m["segmentId"] == "2"]) == 1


async def test_end_session(stage: Stage) -> None:
    """What was said still comes, then sessionEnded; listeners are let go, the speaker may go on."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    talk.hearing._answer_end = False
    await talk.speaker.send(action="endSession", reason="Thank you all", requestId="e")
    await talk.hearing.end_came.wait()
    talk.hearing.final(0, "Last words.")
    talk.hearing.end()
    ended = await talk.speaker.until("sessionEnded")
    assert (ended["sessionId"], ended["reason"]) == (talk.session_id, "Thank you all")
    assert ended["requestId"] == "e"
    assert await listener.closed() == (1000, "the session has ended")
    kinds = [message["type"] for message in listener.seen]
    assert kinds[-2:] == ["translatedAudio", "sessionEnded"]
    assert listener.seen[-1]["reason"] == "Thank you all"
    assert (await talk.speaker.refused(action="getSessionStatus"))["code"] == "SESSION_ENDED"
    assert (await talk.speaker.refused(action="endSession"))["code"] == "SESSION_ENDED"
    again = await talk.speaker.ask("sessionCreated", action="createSession", sourceLanguage="es")
    assert again["sessionId"] != talk.session_id


async def test_end_and_create_in_one_breath(stage: Stage) -> None:
    """Messages sent without waiting are answered one after the other, none is swallowed."""
    talk = await stage.talk()
    await stage.listener(talk)
    for _ in range(5):
        await talk.speaker.send(action="endSession")
        await talk.speaker.send(action="createSession", sourceLanguage="en")
        await talk.speaker.until("sessionCreated")
    kinds = [m["type"] for m in talk.speaker.seen if m["type"] in ("sessionEnded", "sessionCreated")]
    assert kinds == ["sessionCreated"] + 5 * ["sessionEnded", "sessionCreated"]


async def test_heartbeat(stage: Stage) -> None:
    """Anyone may send one; its own timestamp comes back beside the server's time."""
    client = await stage.client()
    ack = await client.ask("heartbeatAck", action="heartbeat", timestamp=12345, requestId="h")
    assert (ack["timestamp"], ack["requestId"]) == (12345, "h")
    assert recent(ack["serverTime"])
    assert recent((await client.ask("heartbeatAck", action="heartbeat"))["timestamp"])


async def test_list_languages(stage: Stage) -> None:
    """Anyone may ask what can be spoken and heard; a language without a route is heard in nothing."""
    client = await stage.client()
    answer = await client.ask("languages", action="listLanguages", requestId="q")
    assert answer["source"] == ["de", "en", "es"]
    assert answer["targets"] == {"de": [], "en": ["es", "fr", "pt"], "es": ["en", "pt"]}
    assert answer["requestId"] == "q"


async def test_playback_pause(stage: Stage) -> None:
    """While paused captions come and no voice; after resuming voice comes from then on."""
    talk = await stage.talk()
    listener, other = await stage.listener(talk), await stage.listener(talk)
    paused = await listener.ask("playbackPaused", action="pausePlayback", requestId="p")
    assert (paused["sessionId"], paused["requestId"]) == (talk.session_id, "p")
    talk.hearing.final(0, "Unheard.")
    await other.until("translatedAudio")
    await listener.until("caption")
    resumed = await listener.ask("playbackResumed", action="resumePlayback")
    assert resumed["lastSequenceNumber"] == 1
    talk.hearing.final(1, "Heard.")
    voice = await listener.until("translatedAudio")
    assert (voice["sequenceNumber"], voice["transcript"]) == (2, "[es] Heard.")
    assert len(listener.all("translatedAudio")) == 1


async def test_edit_transcript(stage: Stage) -> None:
    """A correction raises the revision for the speaker and every language, and nobody is spoken to again."""
    talk = await stage.talk()
    spanish, english = await stage.listener(talk, "es"), await stage.listener(talk, "en")
    talk.hearing.final(0, "God morning.")
    first = await talk.speaker.until("transcript")
    await spanish.until("translatedAudio")
    edited = await talk.speaker.ask(
        "transcript", action="editTranscript", segmentId="0", text="Good morning.", requestId="t"
    )
    assert edited["requestId"] == "t"
    assert edited["revision"] > first["revision"]
    assert (edited["text"], edited["stableText"], edited["isFinal"]) == (
        "Good morning.",
        "Good morning.",
        True,
    )
    caption = await spanish.until("caption", where=lambda m: m["text"] == "[es] Good morning.")
    assert caption["revision"] == edited["revision"]
    await english.until("transcript", where=lambda m: m["text"] == "Good morning.")
    talk.hearing.final(1, "Next.")
    await spanish.until("translatedAudio", where=lambda m: m["segmentId"] == "1")
    assert [m["sequenceNumber"] for m in spanish.all("translatedAudio")] == [1, 2]
    for unknown in ("7", "x", "-1", ""):
        refused = await talk.speaker.refused(action="editTranscript", segmentId=unknown, text="Who?")
        assert (refused["code"], refused["details"]["parameter"]) == ("INVALID_PARAMETER", "segmentId")


async def test_listening_in_the_source_language(stage: Stage) -> None:
    """Who listens in the speaker's language gets transcripts and no voice, and costs no translation."""
    talk = await stage.talk()
    english = await stage.listener(talk, "en")
    talk.hearing.partial(0, "Good mor", stable="Good")
    partial = await english.until("transcript")
    assert (partial["text"], partial["stableText"], partial["isFinal"]) == ("Good mor", "Good", False)
    talk.hearing.final(0, "Good morning.", end_ms=1500)
    final = await english.until("transcript")
    assert (final["text"], final["endTime"], final["revision"]) == ("Good morning.", 1.5, 1)
    assert stage.translation.segments == []


async def test_partials_are_shown_and_never_spoken(stage: Stage) -> None:
    """Words of an open sentence's stable part whose translation stays are shown; only the final is spoken."""
    talk = await stage.talk()
    listener, patient = await stage.listener(talk), await stage.listener(talk, captions="final")
    talk.hearing.partial(0, "Good mor")
    talk.hearing.partial(0, "Good morning every", stable="Good morning", revision=1)
    await eventually(lambda: len(stage.translation.segments) == 1)
    talk.hearing.partial(0, "Good morning everyb", stable="Good morning", revision=2)
    talk.hearing.partial(0, "Good morning everybody", stable="Good morning everybody", revision=3)
    caption = await listener.until("caption")
    assert (caption["text"], caption["isFinal"]) == ("[es] Good", False)
    await eventually(lambda: len(stage.translation.segments) == 2)
    talk.hearing.final(0, "Good morning everybody.")
    voice = await listener.until("translatedAudio")
    assert (voice["sequenceNumber"], voice["transcript"]) == (1, "[es] Good morning everybody.")
    await patient.until("translatedAudio")
    assert [m["isFinal"] for m in patient.all("caption")] == [True]
    spoken = [target.speak for segment in stage.translation.segments for target in segment.targets]
    assert spoken == [False, False, True]


async def test_deliveries_and_encodings(stage: Stage) -> None:
    """Each listener is served as it asked, from one translation."""
    talk = await stage.talk()
    plain = await stage.listener(talk)
    binary = await stage.listener(talk, delivery="binary")
    opus = await stage.listener(talk, audio="opus")
    opus_binary = await stage.listener(talk, audio="opus", delivery="binary")
    silent = await stage.listener(talk, audio="none")
    talk.hearing.final(0, "Good morning.")
    voices = [await client.until("translatedAudio") for client in (plain, binary, opus, opus_binary)]
    assert [voice["format"] for voice in voices] == ["pcm", "pcm", "opus", "opus"]
    assert base64.b64decode(voices[0]["audioData"]) == sound(100)
    assert "audioData" not in voices[1]
    assert binary.binaries[0].endswith(sound(100))
    assert base64.b64decode(voices[2]["audioData"]) == b"OggS-opus"
    assert opus_binary.binaries[0].endswith(b"OggS-opus")
    await silent.until("caption")
    await silent.fence()
    assert silent.all("translatedAudio") == []
    assert stage.translation.asked("es") == [0]


async def test_nobody_speaks_to_those_who_only_read(stage: Stage) -> None:
    """A language whose listeners all want captions alone is not spoken, and not numbered."""
    talk = await stage.talk()
    reader = await stage.listener(talk, audio="none")
    talk.hearing.final(0, "Read this.")
    await reader.until("caption")
    assert [target.speak for target in stage.translation.segments[0].targets] == [False]
    hearer = await stage.listener(talk)
    await eventually(lambda: len(list(stage.desk.hub.seats(talk.session_id))) == 2)
    talk.hearing.final(1, "Hear this.")
    assert (await hearer.until("translatedAudio"))["sequenceNumber"] == 1


async def test_quality_warnings_reach_the_speaker(stage: Stage) -> None:
    """A warning says what to do and what was measured, and is followed by the all-clear."""
    talk = await stage.talk()
    talk.hearing.quality(stt.QUALITY_ISSUE_SNR_LOW, active=True, snr_db=12.0)
    warning = await talk.speaker.until("audio_quality_warning")
    assert (warning["issue"], warning["details"]) == ("snr_low", {"snrDb": 12.0})
    assert "microphone" in warning["message"]
    talk.hearing.quality(stt.QUALITY_ISSUE_SNR_LOW, active=False)
    assert (await talk.speaker.until("audio_quality_ok"))["issue"] == "snr_low"


async def test_audience_changes_reach_the_speaker(stage: Stage) -> None:
    """New languages at once, counts when they moved by more than a tenth."""
    talk = await stage.talk()
    first = await stage.listener(talk, "es")
    await talk.speaker.until("sessionStatus", where=lambda m: m["updateReason"] == "newLanguage")
    await stage.listener(talk, "es")
    status = await talk.speaker.until("sessionStatus")
    assert (status["updateReason"], status["listenerCount"]) == ("listenerCountChange", 2)
    await first.close()
    status = await talk.speaker.until("sessionStatus")
    assert (status["listenerCount"], status["languageDistribution"]) == (1, {"es": 1})


async def test_a_request_id_comes_back_with_errors_too(stage: Stage) -> None:
    """So does the action; the correlation id is new each time."""
    client = await stage.client()
    first = await client.refused(action="endSession", requestId="x1")
    second = await client.refused(action="joinSession", requestId="x2")
    assert (first["requestId"], first["action"], first["code"]) == ("x1", "endSession", "UNAUTHORIZED_ACTION")
    assert (second["requestId"], second["action"]) == ("x2", "joinSession")
    assert second["code"] == "MISSING_PARAMETER"
    assert first["correlationId"] != second["correlationId"]
    assert recent(first["timestamp"])


async def test_unknown_fields_are_ignored(stage: Stage) -> None:
    """Also a traceparent, and null for what is optional."""
    client = await stage.client()
    await client.ask(
        "heartbeatAck",
        action="heartbeat",
        extra={"a": [1]},
        timestamp=None,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )


async def test_the_smoke_tests_verbatim(stage: Stage) -> None:
    """The seven smoke tests of the requirement, with their messages as they stand there."""
    speaker = await stage.client("/prod", token=stage.token())
    await speaker.socket.send('{"action": "createSession", "sourceLanguage": "en"}')
    created = await speaker.until("sessionCreated")
    code = created["sessionId"]
    hearing = await stage.transcription.opened()

    def verbatim(text: str) -> str:
        return text.replace("golden-eagle-427", code).replace("<base64>", base64.b64encode(CHUNK).decode())

    await speaker.socket.send(
        verbatim('{"action": "sendAudio", "sessionId": "golden-eagle-427", "audioData": "<base64>"}')
    )
    await hearing.heard(len(CHUNK))
    listener = await stage.client("/prod")
    await listener.socket.send(
        verbatim('{"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es"}')
    )
    joined = await listener.until("sessionJoined")
    assert joined["sessionId"] == code
    for control in ("pause", "resume", "mute", "unmute"):
        await speaker.socket.send(
            verbatim(
                '{"action": "controlBroadcast", "sessionId": "golden-eagle-427", "controlAction": "pause"}'
            ).replace("pause", control)
        )
        assert (await speaker.until("broadcastControlled"))["controlAction"] == control
    await speaker.socket.send(verbatim('{"action": "getSessionStatus", "sessionId": "golden-eagle-427"}'))
    status = await speaker.until("sessionStatus", where=lambda m: m["updateReason"] == "requested")
    assert (status["sessionId"], status["listenerCount"]) == (code, 1)
    hearing.final(0, "Hello.")
    voice = await listener.until("translatedAudio")
    assert voice["timing"]["sent"] < 5_000
    assert speaker.all("error") + listener.all("error") == []


async def test_the_speaker_is_told_the_audience_from_time_to_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Periodic status comes by itself."""
    real = asyncio.sleep

    async def at_once(delay: float) -> None:
        await real(0.01 if delay == stage.desk.config.status_interval_seconds else delay)

    monkeypatch.setattr("gateway.speaker.asyncio.sleep", at_once)
    talk = await stage.talk()
    for _ in range(2):
        status = await talk.speaker.until("sessionStatus")
        assert (status["updateReason"], status["listenerCount"]) == ("periodic", 0)


async def test_messages_are_plain_json_text(stage: Stage) -> None:
    """One object per text frame, nothing around it."""
    client = await stage.client()
    await client.send(action="heartbeat")
    frame = await client.socket.recv()
    assert isinstance(frame, str)
    assert isinstance(json.loads(frame), dict)
