"""Draining: clients are asked to move, sentences finish, connections close with 1001."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from babelcast.auth.local_issuer import LocalIssuer
from gateway.config import GatewayConfig
from gateway.server import Neighbours
from tests.integration.gateway.client import CHUNK
from tests.integration.gateway.stage import Stage, staged
from tests.integration.gateway.test_http import get
from tests.measured import Measured


async def test_drain(stage: Stage, measured: Measured) -> None:
    """Everybody with a role is told; what was said goes through; then all are closed with 1001. Who comes
    meanwhile is sent elsewhere, which counts as no fault.
    """
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
    answers = "babelcast.gateway.http_responses"
    assert measured.total(answers, **{"class": "1xx"}) == 3
    assert measured.total(answers, **{"class": "5xx"}) == 0


async def test_drain_is_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A station that never answers does not hold the process up."""
    monkeypatch.setattr(type(stage.desk.config), "drain_seconds", 0.1, raising=False)
    talk = await stage.talk()
    talk.hearing._answer_end = False
    async with asyncio.timeout(5):
        await stage.gateway.drain()
    assert await talk.hearing.heard(0) == b""
    await talk.hearing.left.wait()


@pytest.fixture
async def joined(tmp_path: Path, issuer: LocalIssuer) -> AsyncIterator[Stage]:
    """A gateway beside which there are others, with short times."""
    config = GatewayConfig(
        drain_seconds=30,
        drain_linger_seconds=0.3,
        drain_window_seconds=0.3,
        idle_timeout_seconds=10**6,
        heartbeat_timeout_seconds=10**6,
    )
    async with staged(tmp_path, issuer, gateway=config, neighbours=Neighbours(on_bus=True)) as running:
        yield running
        running.gateway.hurry()


async def test_newcomers_are_served_until_they_are_sent_elsewhere(joined: Stage) -> None:
    """/readyz says no at once; who comes all the same joins, and is asked to move in its turn."""
    talk = await joined.talk()
    closing = asyncio.create_task(joined.gateway.aclose())
    await asyncio.sleep(0)
    assert (await get(joined, "/readyz"))[0] == 503
    listener = await joined.listener(talk)
    required = await listener.until("connectionRefreshRequired")
    assert required["reason"] == "draining"
    assert 0 < required["refreshBy"] - time.time() * 1000 <= 5_000
    await talk.speaker.until("connectionRefreshRequired")
    with pytest.raises(InvalidStatus) as unavailable:
        await joined.client()
    assert unavailable.value.response.status_code == 503
    assert unavailable.value.response.headers["Retry-After"] == "1"
    joined.gateway.hurry()
    await closing


async def test_clients_are_served_until_they_have_moved(joined: Stage) -> None:
    """A talk goes on after all were asked; when they have gone, the gateway goes, long before its time."""
    talk = await joined.talk()
    listener = await joined.listener(talk)
    closing = asyncio.create_task(joined.gateway.aclose())
    for client in (listener, talk.speaker):
        await client.until("connectionRefreshRequired")
    await talk.speaker.socket.send(CHUNK)
    await talk.hearing.heard(len(CHUNK))
    talk.hearing.final(0, "Still here.")
    assert (await listener.until("translatedAudio"))["transcript"] == "[es] Still here."
    assert not closing.done()
    await listener.socket.close()
    await talk.speaker.socket.close()
    async with asyncio.timeout(10):
        await closing


async def test_a_hurried_drain_closes_with_1001(joined: Stage) -> None:
    """Whoever has not moved comes back by its resume token."""
    talk = await joined.talk()
    listener = await joined.listener(talk)
    talk.hearing._answer_end = False
    closing = asyncio.create_task(joined.gateway.aclose())
    joined.gateway.hurry()
    async with asyncio.timeout(10):
        for client in (listener, talk.speaker):
            assert (await client.closed())[0] == 1001
        await closing


async def test_what_hangs_holds_nothing_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that does not close is left behind."""
    monkeypatch.setattr("gateway.server.CLOSE_ALL_S", 0.05)

    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(stage.desk.rooms, "aclose", hang)
    async with asyncio.timeout(5):
        await stage.gateway.aclose()


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
