"""The documented messages as anybody may type them, and what nobody should send."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.e2e.served import Served

pytestmark = pytest.mark.engines

MIB = 1024 * 1024
QUIET = bytes(3_200)
CREATE = '{"action": "createSession", "sourceLanguage": "en"}'


@asynccontextmanager
async def typed(served: Served, *, token: str = "") -> AsyncIterator[ClientConnection]:
    """A bare WebSocket, as wscat opens it."""
    headers = {"Authorization": f"Bearer {token}"} if token else None
    async with connect(f"{served.url}/prod", additional_headers=headers, max_size=8 * MIB) as socket:
        yield socket


async def answer(socket: ClientConnection, *types: str) -> dict[str, object]:
    """The next message of one of the types; others, such as status updates, may come before it."""
    while True:
        message = json.loads(await socket.recv())
        assert isinstance(message, dict)
        if message["type"] in types:
            return message


async def ask(socket: ClientConnection, frame: str | bytes, *types: str) -> dict[str, object]:
    """Send a frame and wait for an answer."""
    await socket.send(frame)
    return await answer(socket, *types)


async def test_the_messages_of_the_smoke_tests_work_verbatim(system: Served) -> None:
    """A speaker and a listener with nothing but wscat get every documented answer."""
    async with typed(system, token=system.token) as speaker, typed(system) as listener:
        created = await ask(speaker, CREATE, "sessionCreated")
        code = created["sessionId"]
        assert isinstance(code, str)
        audio = base64.b64encode(QUIET).decode()
        await speaker.send(
            f'{{"action": "sendAudio", "sessionId": "{code}", "audioData": "{audio}", "ack": true}}'
        )
        assert (await answer(speaker, "audioReceived", "error"))["type"] == "audioReceived"
        join = f'{{"action": "joinSession", "sessionId": "{code}", "targetLanguage": "es"}}'
        joined = await ask(listener, join, "sessionJoined", "error")
        assert joined["sessionId"] == code
        for action in ("pause", "resume", "mute", "unmute"):
            control = f'{{"action": "controlBroadcast", "sessionId": "{code}", "controlAction": "{action}"}}'
            controlled = await ask(speaker, control, "broadcastControlled", "error")
            assert controlled["controlAction"] == action
        paused = await answer(listener, "broadcastPaused")
        assert paused["sessionId"] == code
        status = await ask(
            speaker, f'{{"action": "getSessionStatus", "sessionId": "{code}"}}', "sessionStatus", "error"
        )
        while status["updateReason"] != "requested":
            status = await answer(speaker, "sessionStatus")
        assert (status["listenerCount"], status["languageDistribution"]) == (1, {"es": 1})
        await ask(speaker, '{"action": "endSession"}', "sessionEnded")
        assert (await answer(listener, "sessionEnded"))["reason"] == "speakerEnded"


async def test_joining_by_url_alone_works(system: Served) -> None:
    """The session and the language may stand in the address."""
    async with typed(system, token=system.token) as speaker:
        created = await ask(speaker, CREATE, "sessionCreated")
        async with connect(f"{system.url}/?sessionId={created['sessionId']}&targetLanguage=es") as listener:
            joined = await answer(listener, "sessionJoined", "error")
        assert joined["targetLanguage"] == "es"
        await ask(speaker, '{"action": "endSession"}', "sessionEnded")


BEFORE_A_SESSION: dict[str, tuple[str | bytes, str]] = {
    "a list": ("[1, 2]", "INVALID_MESSAGE"),
    "no JSON": ("{", "INVALID_MESSAGE"),
    "no action": ("{}", "MISSING_ACTION"),
    "an unknown action": ('{"action": "fly"}', "INVALID_ACTION"),
    "a missing field": ('{"action": "createSession"}', "MISSING_PARAMETER"),
    "an impossible code": (
        '{"action": "joinSession", "sessionId": "x", "targetLanguage": "es"}',
        "INVALID_SESSION_ID",
    ),
    "an absent session": (
        '{"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es"}',
        "SESSION_NOT_FOUND",
    ),
    "a value out of range": (
        '{"action": "createSession", "sourceLanguage": "en", "minStability": 7}',
        "INVALID_PARAMETER",
    ),
    "a language nobody speaks": (
        '{"action": "createSession", "sourceLanguage": "tlh"}',
        "UNSUPPORTED_LANGUAGE",
    ),
    "sound": (QUIET, "UNAUTHORIZED_ACTION"),
    "1 MiB of text": (json.dumps({"action": "heartbeat", "x": "a" * MIB}), "MESSAGE_TOO_LARGE"),
}
AS_SPEAKER: dict[str, tuple[str | bytes, str]] = {
    "truncated base64": ('{"action": "sendAudio", "audioData": "AAAAA"}', "INVALID_AUDIO_FORMAT"),
    "no base64": ('{"action": "sendAudio", "audioData": "%%%%"}', "INVALID_AUDIO_FORMAT"),
    "half a sample": (bytes(3_201), "INVALID_AUDIO_FORMAT"),
    "a crumb": (bytes(10), "INVALID_AUDIO_FORMAT"),
    "1 MiB of sound": (bytes(MIB), "AUDIO_CHUNK_TOO_LARGE"),
    "another's session": (
        '{"action": "getSessionStatus", "sessionId": "golden-eagle-427"}',
        "FORBIDDEN",
    ),
    "a second session": (CREATE, "CONFLICT"),
    "a listener's wish": ('{"action": "changeLanguage", "targetLanguage": "fr"}', "UNAUTHORIZED_ACTION"),
}
AS_LISTENER: dict[str, tuple[str | bytes, str]] = {
    "sound": (QUIET, "UNAUTHORIZED_ACTION"),
    "sound in JSON": ('{"action": "sendAudio", "audioData": "AAAA"}', "UNAUTHORIZED_ACTION"),
    "the end": ('{"action": "endSession"}', "UNAUTHORIZED_ACTION"),
    "no such language": (
        '{"action": "changeLanguage", "targetLanguage": "tlh"}',
        "UNSUPPORTED_LANGUAGE",
    ),
}


async def refused(socket: ClientConnection, cases: dict[str, tuple[str | bytes, str]]) -> None:
    """Each frame gets its error, and the next valid message still works."""
    for name, (frame, code) in cases.items():
        error = await ask(socket, frame, "error")
        assert error["code"] == code, name
        text = str(error["message"])
        assert "Traceback" not in text
        assert "127.0.0.1" not in text
        languages = await ask(
            socket, '{"action": "listLanguages", "requestId": "after"}', "languages", "error"
        )
        assert (languages["type"], languages["requestId"]) == ("languages", "after"), name


async def test_garbage_is_answered_and_does_no_harm(system: Served) -> None:
    """Before a session, as a speaker and as a listener: the right error, then life goes on."""
    async with typed(system, token=system.token) as speaker, typed(system) as listener:
        await refused(speaker, BEFORE_A_SESSION)
        created = await ask(speaker, CREATE, "sessionCreated", "error")
        await refused(speaker, AS_SPEAKER)
        join = {"action": "joinSession", "sessionId": created["sessionId"], "targetLanguage": "es"}
        await ask(listener, json.dumps(join), "sessionJoined")
        await refused(listener, AS_LISTENER)
        await ask(speaker, '{"action": "endSession"}', "sessionEnded")


async def test_a_bad_token_is_refused_and_none_is_anonymous(system: Served) -> None:
    """A bad token is HTTP 401; without one a session cannot be created."""
    with pytest.raises(InvalidStatus) as caught:
        async with typed(system, token="nonsense"):
            pass
    assert caught.value.response.status_code == 401
    async with typed(system) as visitor:
        assert (await ask(visitor, CREATE, "error"))["code"] == "UNAUTHORIZED"
        in_message = json.dumps({"action": "createSession", "sourceLanguage": "en", "token": system.token})
        await ask(visitor, in_message, "sessionCreated")
        await ask(visitor, '{"action": "endSession"}', "sessionEnded")
