"""Garbage and limits: the right error, and the next good message still works."""

import base64
import json
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Opcode

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.errors import CapacityExhausted, ServiceUnavailable
from gateway.config import GatewayConfig
from session_svc.config import SessionConfig
from tests.integration.gateway.client import CHUNK
from tests.integration.gateway.stage import Stage, eventually, staged

MEGABYTE = 1024 * 1024


def audio(data: object, **fields: object) -> str:
    """A sendAudio with that audioData."""
    return json.dumps({"action": "sendAudio", "audioData": data, **fields})


GOOD = base64.b64encode(CHUNK).decode()
SPEAKERS_GARBAGE: list[tuple[str | bytes, str]] = [
    (audio(GOOD[:-3]), "INVALID_AUDIO_FORMAT"),
    (audio("%%%" + GOOD), "INVALID_AUDIO_FORMAT"),
    (audio("ü" + GOOD), "INVALID_AUDIO_FORMAT"),
    (audio(base64.b64encode(CHUNK[:-1]).decode()), "INVALID_AUDIO_FORMAT"),
    (audio(""), "INVALID_AUDIO_FORMAT"),
    (audio(17), "INVALID_AUDIO_FORMAT"),
    (audio([GOOD]), "INVALID_AUDIO_FORMAT"),
    (audio(None), "MISSING_PARAMETER"),
    ('{"action": "sendAudio"}', "MISSING_PARAMETER"),
    (audio(GOOD, channels=2), "INVALID_AUDIO_FORMAT"),
    (audio(GOOD, sampleRate=44_100), "INVALID_AUDIO_FORMAT"),
    (audio(GOOD, sampleRate="16000"), "INVALID_AUDIO_FORMAT"),
    (audio(GOOD, format="mp3"), "INVALID_AUDIO_FORMAT"),
    (audio(GOOD, encoding="f32le"), "INVALID_AUDIO_FORMAT"),
    (audio(GOOD, sequence=-1), "INVALID_PARAMETER"),
    (audio(GOOD, sessionId="not a code"), "INVALID_SESSION_ID"),
    (audio(GOOD, sessionId="golden-eagle-427"), "FORBIDDEN"),
    (audio(base64.b64encode(bytes(33 * 1024)).decode()), "AUDIO_CHUNK_TOO_LARGE"),
    (b"", "INVALID_AUDIO_FORMAT"),
    (b"x", "INVALID_AUDIO_FORMAT"),
    (bytes(98), "INVALID_AUDIO_FORMAT"),
    (bytes(3201), "INVALID_AUDIO_FORMAT"),
    (bytes(MEGABYTE), "AUDIO_CHUNK_TOO_LARGE"),
    (audio("A" * MEGABYTE), "MESSAGE_TOO_LARGE"),
    ("x" * MEGABYTE, "MESSAGE_TOO_LARGE"),
    ('{"action": "setVolume", "volumeLevel": 1.5}', "INVALID_PARAMETER"),
    ('{"action": "setVolume", "volumeLevel": "loud"}', "INVALID_PARAMETER"),
    ('{"action": "setVolume"}', "MISSING_PARAMETER"),
    ('{"action": "controlBroadcast", "controlAction": "explode"}', "INVALID_PARAMETER"),
    ('{"action": "controlBroadcast"}', "MISSING_PARAMETER"),
    ('{"action": "speakerStateChange", "state": []}', "INVALID_PARAMETER"),
    ('{"action": "speakerStateChange", "state": {"volume": -1}}', "INVALID_PARAMETER"),
    ('{"action": "editTranscript", "segmentId": 0, "text": "x"}', "INVALID_PARAMETER"),
    ('{"action": "endSession", "reason": "' + "x" * 65 + '"}', "INVALID_PARAMETER"),
    ('{"action": "changeLanguage", "targetLanguage": "es"}', "UNAUTHORIZED_ACTION"),
]
ANYBODYS_GARBAGE: list[tuple[str | bytes, str]] = [
    ("", "INVALID_MESSAGE"),
    ("hello", "INVALID_MESSAGE"),
    ("[]", "INVALID_MESSAGE"),
    ('[{"action": "heartbeat"}]', "INVALID_MESSAGE"),
    ("null", "INVALID_MESSAGE"),
    ("17", "INVALID_MESSAGE"),
    ('"heartbeat"', "INVALID_MESSAGE"),
    ('{"action": "heartbeat"', "INVALID_MESSAGE"),
    ('{"action": "heartbeat"}{}', "INVALID_MESSAGE"),
    ("[" * 60_000, "INVALID_MESSAGE"),
    ('{"action": "heartbeat", "x": ' + "[" * 30_000 + "]" * 30_000 + "}", "INVALID_MESSAGE"),
    ('{"action": "heartbeat", "x": "\\ud800"}', "INVALID_MESSAGE"),
    ('{"action": "heartbeat", "x": NaN}', "INVALID_MESSAGE"),
    ("{}", "MISSING_ACTION"),
    ('{"action": null}', "MISSING_ACTION"),
    ('{"type": "heartbeat"}', "MISSING_ACTION"),
    ('{"action": 17}', "INVALID_PARAMETER"),
    ('{"action": ""}', "INVALID_ACTION"),
    ('{"action": "fly"}', "INVALID_ACTION"),
    ('{"action": "Heartbeat"}', "INVALID_ACTION"),
    ('{"action": "' + "x" * 60_000 + '"}', "INVALID_ACTION"),
    ('{"action": "heartbeat", "timestamp": "now"}', "INVALID_PARAMETER"),
    ('{"action": "heartbeat", "timestamp": 1e300}', "INVALID_PARAMETER"),
    ('{"action": "heartbeat", "requestId": "' + "x" * 65 + '"}', "INVALID_PARAMETER"),
    ('{"action": "joinSession", "sessionId": "golden-eagle-427"}', "MISSING_PARAMETER"),
    ('{"action": "joinSession", "sessionId": 7, "targetLanguage": "es"}', "INVALID_SESSION_ID"),
    ('{"action": "joinSession", "sessionId": "a/../b", "targetLanguage": "es"}', "INVALID_SESSION_ID"),
    ('{"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": 5}', "INVALID_LANGUAGE"),
    (
        '{"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es"}',
        "SESSION_NOT_FOUND",
    ),
    (
        '{"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es", "audio": "mp3"}',
        "INVALID_PARAMETER",
    ),
    (
        '{"action": "refreshConnection", "sessionId": "golden-eagle-427", "resumeToken": "x"}',
        "SESSION_NOT_FOUND",
    ),
    (audio(GOOD), "UNAUTHORIZED_ACTION"),
    (CHUNK, "UNAUTHORIZED_ACTION"),
    (b"", "UNAUTHORIZED_ACTION"),
    (bytes(MEGABYTE), "UNAUTHORIZED_ACTION"),
    ('{"action": "getSessionStatus"}', "UNAUTHORIZED_ACTION"),
    ('{"action": "pausePlayback"}', "UNAUTHORIZED_ACTION"),
]


async def test_a_visitors_garbage(stage: Stage) -> None:
    """Each frame gets its error, one answer a frame, and a heartbeat after all of it still works."""
    client = await stage.client()
    for frame, code in ANYBODYS_GARBAGE:
        await client.socket.send(frame)
        error = await client.until("error")
        assert error["code"] == code, frame[:100]
        assert len(json.dumps(error)) < 1000
    await client.fence()
    assert [message["type"] for message in client.seen] == ["error"] * len(ANYBODYS_GARBAGE) + [
        "heartbeatAck"
    ]


async def test_a_speakers_garbage(stage: Stage) -> None:
    """Each frame gets its error; good audio after each of them arrives, and nothing else does."""
    talk = await stage.talk()
    for count, (frame, code) in enumerate(SPEAKERS_GARBAGE, start=1):
        stage.clock.now_s += 1
        await talk.speaker.socket.send(frame)
        assert (await talk.speaker.until("error"))["code"] == code, frame[:100]
        await talk.speaker.socket.send(CHUNK)
        await talk.hearing.heard(count * len(CHUNK))
    assert talk.hearing.audio == CHUNK * len(SPEAKERS_GARBAGE)


async def test_a_listener_may_not_speak(stage: Stage) -> None:
    """Nor control, nor end; and goes on listening."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    await listener.socket.send(CHUNK)
    await listener.audio(CHUNK)
    await listener.send(action="endSession")
    await listener.send(action="muteBroadcast")
    for _ in range(4):
        assert (await listener.until("error"))["code"] == "UNAUTHORIZED_ACTION"
    talk.hearing.final(0, "Still here.")
    await listener.until("translatedAudio")
    assert talk.hearing.audio == b""


async def test_text_that_is_no_utf8_closes(stage: Stage) -> None:
    """That is a fault of the WebSocket layer: 1007."""
    client = await stage.client()
    client.socket.transport.write(_masked(Opcode.TEXT, b'{"action": "\xff\xfe"}'))
    assert (await client.closed())[0] == 1007


async def test_a_frame_above_two_megabytes_closes(stage: Stage) -> None:
    """What is too large to be read cannot be answered: 1009."""
    client = await stage.client()
    await client.socket.send(bytes(2 * MEGABYTE + 1))
    assert (await client.closed())[0] == 1009


def _masked(opcode: Opcode, data: bytes) -> bytes:
    return bytes([0x80 | opcode, 0x80 | len(data), 0, 0, 0, 0]) + data


async def test_languages_that_are_not_there(stage: Stage) -> None:
    """The error names what there is."""
    client = await stage.client(token=stage.token())
    refused = await client.refused(action="createSession", sourceLanguage="ja")
    assert (refused["code"], refused["details"]["available"]) == ("UNSUPPORTED_LANGUAGE", ["de", "en", "es"])
    refused = await client.refused(action="createSession", sourceLanguage="12")
    assert refused["code"] == "INVALID_LANGUAGE"
    talk = await stage.talk()
    listener = await stage.client()
    refused = await listener.refused(action="joinSession", sessionId=talk.session_id, targetLanguage="de")
    assert refused["code"] == "UNSUPPORTED_LANGUAGE"
    assert refused["details"]["available"] == ["en", "es", "fr", "pt"]


async def test_no_room_in_transcription(stage: Stage) -> None:
    """The speaker is told when to try again, and no session is left behind."""
    stage.transcription.refusals = [CapacityExhausted("Full.", retry_after_s=7)]
    client = await stage.client(token=stage.token())
    refused = await client.refused(action="createSession", sourceLanguage="en")
    assert (refused["code"], refused["details"]["retryAfter"]) == ("SERVICE_UNAVAILABLE", 7)
    assert list(stage.desk.rooms) == []
    created = await client.ask("sessionCreated", action="createSession", sourceLanguage="en")
    assert created["sessionId"]


async def test_a_refused_session_gives_its_place_back(tmp_path: Path, issuer: LocalIssuer) -> None:
    """When the session service says no, the transcription stream that was opened first is closed."""
    record = SessionConfig(rate_limit_sessions_per_hour=1)
    async with staged(tmp_path, issuer, record=record) as stage:
        talk = await stage.talk()
        client = await stage.client(token=stage.token())
        refused = await client.refused(action="createSession", sourceLanguage="en")
        assert refused["code"] in ("RATE_LIMIT_EXCEEDED", "MAX_SESSIONS_EXCEEDED")
        assert refused["details"]["retryAfter"] > 0
        spare = await stage.transcription.opened()
        await spare.left.wait()
        assert not talk.hearing.left.is_set()


async def test_a_full_session(tmp_path: Path, issuer: LocalIssuer) -> None:
    """The last seat is the last; one that is given up is free again."""
    async with staged(tmp_path, issuer, record=SessionConfig(max_listeners_per_session=1)) as stage:
        talk = await stage.talk()
        first = await stage.listener(talk)
        second = await stage.client()
        join = {"action": "joinSession", "sessionId": talk.session_id, "targetLanguage": "es"}
        refused = await second.refused(**join)
        assert (refused["code"], refused["details"]["retryAfter"] > 0) == ("SESSION_FULL", True)
        await first.close()
        await eventually(lambda: stage.room(talk).session.audience.listener_count == 0)
        await second.ask("sessionJoined", **join)


async def test_joins_from_one_address_are_limited(tmp_path: Path, issuer: LocalIssuer) -> None:
    """With the time after which to try again."""
    record = SessionConfig(rate_limit_listener_joins_per_min=2)
    async with staged(tmp_path, issuer, record=record) as stage:
        talk = await stage.talk()
        await stage.listener(talk)
        await stage.listener(talk)
        client = await stage.client()
        refused = await client.refused(action="joinSession", sessionId=talk.session_id, targetLanguage="es")
        assert refused["code"] == "RATE_LIMIT_EXCEEDED"
        assert refused["details"]["retryAfter"] > 0


async def test_services_that_are_away(stage: Stage) -> None:
    """What needs them is refused with SERVICE_UNAVAILABLE; what does not goes on."""
    await stage.transcription_server.stop(grace_s=0)
    client = await stage.client(token=stage.token())
    refused = await client.refused(action="createSession", sourceLanguage="en")
    assert (refused["code"], refused["details"]["retryAfter"] > 0) == ("SERVICE_UNAVAILABLE", True)
    await stage.record.aclose()
    refused = await client.refused(action="joinSession", sessionId="golden-eagle-427", targetLanguage="es")
    assert refused["code"] == "SERVICE_UNAVAILABLE"
    await client.fence()


async def test_a_fault_of_ours_is_not_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception, in text or binary, is INTERNAL_ERROR without its words."""
    talk = await stage.talk()

    def broken(*_: object, **__: object) -> bytes:
        raise RuntimeError("secret of the house")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.ingest.Ingest.accept", broken)
        for send in (talk.speaker.socket.send(CHUNK), talk.speaker.audio(CHUNK)):
            await send
            error = await talk.speaker.until("error")
            assert (error["code"], error["action"]) == ("INTERNAL_ERROR", "sendAudio")
            assert "secret" not in json.dumps(error)
    await talk.speaker.socket.send(CHUNK)
    await talk.hearing.heard(len(CHUNK))


async def test_audio_chunks_are_limited(stage: Stage) -> None:
    """Twenty at once, then ten a second with a little tolerance; what is refused is not heard."""
    talk = await stage.talk()
    for _ in range(22):
        await talk.speaker.socket.send(CHUNK)
    await talk.speaker.fence()
    errors = talk.speaker.all("error")
    assert [error["code"] for error in errors] == ["RATE_LIMIT_EXCEEDED"] * 2
    assert errors[0]["details"]["retryAfter"] == 0.091  # 1 / 11 s, never rounded down
    assert [error["details"]["sequence"] for error in errors] == [21, 22]
    assert await talk.hearing.heard(20 * len(CHUNK)) == 20 * CHUNK
    stage.clock.now_s += 1
    for _ in range(12):
        await talk.speaker.socket.send(CHUNK)
    await talk.speaker.fence()
    assert len(talk.speaker.all("error")) == 3


async def test_heartbeats_are_limited(stage: Stage) -> None:
    """Ten a minute for each connection."""
    client = await stage.client()
    for _ in range(10):
        await client.fence()
    refused = await client.refused(action="heartbeat")
    assert (refused["code"], refused["details"]["retryAfter"]) == ("RATE_LIMIT_EXCEEDED", 6.0)
    stage.clock.now_s += 6
    await client.fence()
    await (await stage.client()).fence()


async def test_connections_from_one_address_are_limited(tmp_path: Path, issuer: LocalIssuer) -> None:
    """HTTP 429 at the upgrade; health stays to be seen."""
    config = GatewayConfig(rate_limit_connection_attempts_per_min=2, drain_seconds=5)
    async with staged(tmp_path, issuer, gateway=config) as stage:
        for _ in range(2):
            await stage.client()
        with pytest.raises(InvalidStatus) as refused:
            await stage.client()
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "30"
        stage.clock.now_s += 30
        await stage.client()


async def test_flooding_is_cut_off(stage: Stage) -> None:
    """Who goes on sending garbage is closed with 4429."""
    client = await stage.client()
    for _ in range(250):
        await client.socket.send("garbage")
    assert await client.closed() == (4429, "flooding")
    assert len(client.all("error")) == 201


async def test_a_talk_survives_its_translation_service(stage: Stage) -> None:
    """While translation refuses, its listeners are told, and get what was said later."""
    talk = await stage.talk()
    stage.translation.script.refusals = [ServiceUnavailable("Not now.") for _ in range(3)]
    listener = await stage.listener(talk)
    talk.hearing.final(0, "Patience.")
    degraded = await listener.until("serviceDegraded")
    assert (degraded["component"], degraded["targetLanguage"]) == ("translation", "es")
    assert (await listener.until("translatedAudio"))["transcript"] == "[es] Patience."
    assert len(listener.all("systemRecovered")) == 1
    await talk.speaker.until("systemRecovered")
    assert len(listener.all("serviceDegraded")) == 1
