"""Connections that grow old or silent, and talks that pause for long."""

import asyncio
from pathlib import Path

import pytest

from babelcast.auth.local_issuer import LocalIssuer
from gateway.config import GatewayConfig
from tests.integration.gateway.client import CHUNK
from tests.integration.gateway.stage import Stage, eventually, staged

MINUTE_S = 60


async def test_an_ageing_speaker_moves_on(tmp_path: Path, issuer: LocalIssuer) -> None:
    """Asked at 100 minutes, warned at 105, closed at 120; the role and its state go on elsewhere."""
    async with staged(tmp_path, issuer, gateway=GatewayConfig(drain_seconds=5)) as stage:
        talk = await stage.talk()
        await talk.speaker.ask("broadcastControlled", action="muteBroadcast")

        async def pass_minutes(minutes: int) -> None:
            for _ in range(minutes):
                stage.clock.now_s += MINUTE_S
                await talk.speaker.ask("sessionStatus", action="getSessionStatus")
                stage.gateway.check_lifetimes()

        await pass_minutes(100)
        asked = await talk.speaker.until("connectionRefreshRequired")
        assert (asked["role"], asked["reason"]) == ("speaker", "maxDuration")
        assert abs(asked["refreshBy"] - asked["timestamp"] - 20 * MINUTE_S * 1000) < 1000
        await pass_minutes(5)
        assert (await talk.speaker.until("connectionWarning"))["remainingMinutes"] == 15
        fresh = await stage.client(token=stage.token())
        await fresh.ask(
            "connectionRefreshComplete",
            action="refreshConnection",
            sessionId=talk.session_id,
            resumeToken=talk.created["resumeToken"],
        )
        assert (await fresh.until("stateRestored"))["broadcastState"]["isMuted"]
        assert (await talk.speaker.closed())[0] == 1000


async def test_the_oldest_connections_are_closed(tmp_path: Path, issuer: LocalIssuer) -> None:
    """Nobody stays beyond the longest time, however lively."""
    config = GatewayConfig(drain_seconds=5, session_max_duration_hours=0.01, idle_timeout_seconds=10**6)
    async with staged(tmp_path, issuer, gateway=config) as stage:
        talk = await stage.talk()
        listener = await stage.listener(talk)
        stage.clock.now_s += 37
        stage.gateway.check_lifetimes()
        assert (await listener.until("connectionTimeout"))["idleSeconds"] == 37
        assert (await listener.closed())[0] == 4408


async def test_silent_connections_are_closed(tmp_path: Path, issuer: LocalIssuer) -> None:
    """Ten minutes of silence end a connection, a minute and a half that of a client that used to beat."""
    async with staged(tmp_path, issuer, gateway=GatewayConfig(drain_seconds=5)) as stage:
        talk = await stage.talk()
        beating, silent = await stage.listener(talk), await stage.listener(talk)
        await beating.ask("heartbeatAck", action="heartbeat")
        stage.clock.now_s += 95
        stage.gateway.check_lifetimes()
        assert (await beating.closed())[0] == 4408
        stage.clock.now_s += 504
        stage.gateway.check_lifetimes()
        assert silent.all("connectionTimeout") == []
        await talk.speaker.socket.send(CHUNK)
        await talk.hearing.heard(len(CHUNK))
        stage.clock.now_s += 1
        stage.gateway.check_lifetimes()
        assert (await silent.until("connectionTimeout"))["idleSeconds"] == 600
        assert (await silent.closed())[0] == 4408
        room = stage.room(talk)
        await eventually(lambda: room.session.audience.listener_count == 0)
        assert talk.speaker.all("connectionTimeout") == []


async def test_a_client_that_answers_no_ping_is_gone(
    tmp_path: Path, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut wire tells nothing: after the heartbeat timeout the seat is free, though nobody closed it."""
    monkeypatch.setattr("gateway.server.CLOSE_S", 0.1)
    config = GatewayConfig(drain_seconds=5, heartbeat_interval_seconds=1, heartbeat_timeout_seconds=2)
    async with staged(tmp_path, issuer, gateway=config) as stage:
        talk = await stage.talk()
        listener = await stage.listener(talk)
        listener.socket.transport.pause_reading()
        room = stage.room(talk)
        async with asyncio.timeout(5):
            await eventually(lambda: room.session.audience.listener_count == 0)
        await talk.speaker.ask("sessionStatus", action="getSessionStatus")  # it answers pings, and is there


async def test_a_long_pause_gives_the_place_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a long pause the transcription stream ends in order; the next word opens another and goes on."""
    monkeypatch.setattr("gateway.transcribing.STALL_S", 0.01)
    monkeypatch.setattr("gateway.transcribing.IDLE_S", 0.02)
    talk = await stage.talk()
    await talk.speaker.socket.send(CHUNK)
    await talk.hearing.heard(len(CHUNK))
    talk.hearing.final(0, "And now a break.", end_ms=100)
    await talk.speaker.until("transcript")
    await talk.hearing.end_came.wait()
    await talk.hearing.left.wait()
    await talk.speaker.socket.send(CHUNK)
    again = await stage.transcription.opened()
    assert again.config.first_segment == 1
    assert again.config.start_offset_ms == 96  # on the frames of the stream before
    assert CHUNK in await again.heard(32_000 + len(CHUNK))
    again.final(1, "Back again.", end_ms=5000)
    assert (await talk.speaker.until("transcript"))["text"] == "Back again."
    assert talk.speaker.all("serviceDegraded") == []


async def test_a_paused_talk_can_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending a talk that has given its place back waits for nothing."""
    monkeypatch.setattr("gateway.transcribing.STALL_S", 0.01)
    monkeypatch.setattr("gateway.transcribing.IDLE_S", 0.02)
    talk = await stage.talk()
    await talk.hearing.end_came.wait()
    await talk.hearing.left.wait()
    await talk.speaker.ask("sessionEnded", action="endSession")


async def test_addresses_behind_a_trusted_proxy(tmp_path: Path, issuer: LocalIssuer) -> None:
    """Limits count the client's own address, which only a trusted proxy may tell."""
    config = GatewayConfig(
        drain_seconds=5, trusted_proxies="127.0.0.0/8", rate_limit_connection_attempts_per_min=1
    )
    async with staged(tmp_path, issuer, gateway=config) as stage:
        await stage.client(headers={"X-Forwarded-For": "198.51.100.1"})
        await stage.client(headers={"X-Forwarded-For": "198.51.100.2"})
        with pytest.raises(Exception, match="429"):
            await stage.client(headers={"X-Forwarded-For": "198.51.100.1"})
