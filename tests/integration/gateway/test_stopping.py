"""Draining: clients are asked to move, sentences finish, connections close with 1001."""

import asyncio
import time

import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.gateway.client import CHUNK
from tests.integration.gateway.stage import Stage
from tests.integration.gateway.test_http import get


async def test_drain(stage: Stage) -> None:
    """Everybody with a role is told; what was said goes through; then all are closed with 1001."""
    talk = await stage.talk()
    listener, visitor = await stage.listener(talk), await stage.client()
    talk.hearing._answer_end = False
    await talk.speaker.socket.send(CHUNK)
    await talk.hearing.heard(len(CHUNK))
    closing = asyncio.create_task(stage.gateway.aclose())
    for client, role in ((talk.speaker, "speaker"), (listener, "listener")):
        required = await client.until("connectionRefreshRequired")
        assert (required["role"], required["reason"]) == (role, "draining")
        assert required["sessionId"] == talk.session_id
        assert 0 < required["refreshBy"] - time.time() * 1000 <= 5_000
    refused = await visitor.refused(action="joinSession", sessionId=talk.session_id, targetLanguage="es")
    assert refused["code"] == "SERVICE_UNAVAILABLE"
    with pytest.raises(InvalidStatus) as unavailable:
        await stage.client()
    assert unavailable.value.response.status_code == 503
    assert unavailable.value.response.headers["Retry-After"] == "5"
    assert (await get(stage, "/readyz"))[0] == 503
    assert (await get(stage, "/healthz"))[0] == 200

    await talk.hearing.end_came.wait()
    talk.hearing.final(0, "Last words.")
    talk.hearing.end()
    for client in (talk.speaker, listener, visitor):
        assert (await client.closed())[0] == 1001
    assert [m["transcript"] for m in listener.all("translatedAudio")] == ["[es] Last words."]
    assert listener.all("sessionEnded") == []  # the talk goes on elsewhere
    await closing


async def test_drain_is_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A station that never answers does not hold the process up."""
    monkeypatch.setattr(type(stage.desk.config), "drain_seconds", 0.1, raising=False)
    talk = await stage.talk()
    talk.hearing._answer_end = False
    async with asyncio.timeout(5):
        await stage.gateway.drain()
    assert await talk.hearing.heard(0) == b""
    await talk.hearing.left.wait()


async def test_closing_twice(stage: Stage) -> None:
    """The second time there is nothing left to do."""
    await stage.talk()
    await stage.gateway.aclose()
    await stage.gateway.aclose()
    assert not stage.gateway.ready


async def test_a_follower_that_fails_shows_in_readiness(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that hears of no changes any more must not be given new connections."""
    talk = await stage.talk()
    assert (await get(stage, "/readyz"))[0] == 200
    monkeypatch.setattr(type(stage.desk.rooms), "_on_audience", lambda *_: 1 / 0)
    client = await stage.client()
    await client.ask("sessionJoined", action="joinSession", sessionId=talk.session_id, targetLanguage="es")
    async with asyncio.timeout(5):
        while (await get(stage, "/readyz"))[0] == 200:
            await client.fence()
            stage.clock.now_s += 6
