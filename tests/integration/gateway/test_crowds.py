"""Many listeners, slow listeners, and what is left when all have gone."""

import asyncio
import contextlib
import socket

import pytest

from gateway.outlet import MAX_WAITING_AUDIO_S
from tests.integration.gateway.client import CHUNK, Client
from tests.integration.gateway.stage import Stage, Talk, eventually


async def idle(stage: Stage, talk: Talk, audio: str = "pcm") -> Client:
    """A listener who has joined and then reads nothing any more."""
    client = await stage.listener(talk, audio=audio)
    client.socket.transport.pause_reading()
    return client


async def test_a_crowd_hears_the_same(stage: Stage) -> None:
    """Fifty listeners of one language get every sentence once, from one translation."""
    talk = await stage.talk()
    clients = [await stage.client() for _ in range(50)]
    for client in clients:
        await client.send(action="joinSession", sessionId=talk.session_id, targetLanguage="es")
    for client in clients:
        await client.until("sessionJoined")
    room = stage.room(talk)
    await eventually(lambda: room.session.audience.listener_count == 50)
    for segment in range(5):
        talk.hearing.final(segment, f"Sentence {segment}.")
    for client in clients:
        await client.until("translatedAudio", where=lambda m: m["sequenceNumber"] == 5)
        assert [m["sequenceNumber"] for m in client.all("translatedAudio")] == [1, 2, 3, 4, 5]
    assert stage.translation.asked("es") == [0, 1, 2, 3, 4]


async def test_a_crowd_may_come_while_the_gateway_is_busy(stage: Stage) -> None:
    """Hundreds in one moment wait to be accepted; else they would try again after seconds."""
    address = ("127.0.0.1", stage.gateway.port)
    with contextlib.ExitStack() as crowd:  # nothing here waits, so the gateway in this loop accepts nobody
        came = [crowd.enter_context(socket.create_connection(address, timeout=0.5)) for _ in range(300)]
        for one in came:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
            one.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            for one in came:
                assert (await loop.sock_recv(one, 64)).startswith(b"HTTP/1.1 200 ")


async def test_a_listener_who_does_not_read_delays_nobody(stage: Stage) -> None:
    """It loses whole utterances, oldest first, while the others get everything; then it gets what is left."""
    talk = await stage.talk()
    slow, quick = await idle(stage, talk), await stage.listener(talk)
    stage.translation.script.speech_ms = 4_000
    for segment in range(60):
        talk.hearing.final(segment, f"Sentence {segment}.")
        await quick.until("translatedAudio", where=lambda m: m["segmentId"] == str(segment))  # noqa: B023
    assert [m["sequenceNumber"] for m in quick.all("translatedAudio")] == list(range(1, 61))
    dropped = max(connection.outlet.dropped for connection in stage.gateway._connections)
    assert 0 < dropped < 60
    slow.socket.transport.resume_reading()
    await slow.until("translatedAudio", where=lambda m: m["sequenceNumber"] == 60)
    got = [m["sequenceNumber"] for m in slow.all("translatedAudio")]
    kept = int(MAX_WAITING_AUDIO_S / 4)
    assert got == [*range(1, 61 - dropped - kept), *range(61 - kept, 61)]
    assert [m["segmentId"] for m in slow.all("caption")] == [str(segment) for segment in range(60)]


async def test_a_listener_for_whom_too_much_waits_is_cut(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is broken off; the others do not notice."""
    monkeypatch.setattr("gateway.outlet.MAX_WAITING_BYTES", 100_000)
    talk = await stage.talk()
    await idle(stage, talk, audio="none")
    quick = await stage.listener(talk)
    text = "x" * 20_000
    segment = 0
    while len(stage.gateway._connections) > 2:
        talk.hearing.final(segment, text)
        await quick.until("translatedAudio")
        segment += 1
        assert segment < 1000
    await eventually(lambda: stage.room(talk).session.audience.listener_count == 1)
    talk.hearing.final(segment, "Still here.")
    await quick.until("translatedAudio", where=lambda m: m["sourceText"] == "Still here.")


async def test_a_listener_who_is_stuck_is_cut(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes nothing for long is gone, whatever waits."""
    monkeypatch.setattr("gateway.outlet.STUCK_AFTER_S", 0.05)
    talk = await stage.talk()
    await idle(stage, talk)
    quick = await stage.listener(talk)
    stage.translation.script.speech_ms = 4_000
    segment = 0
    while len(stage.gateway._connections) > 2:
        talk.hearing.final(segment, "Go on.")
        await quick.until("translatedAudio")
        segment += 1
        assert segment < 1000


async def test_all_that_comes_goes(stage: Stage) -> None:
    """After many connections of every kind have come and gone, nothing of them is left."""
    before = len(asyncio.all_tasks())
    for round_ in range(5):
        talk = await stage.talk(f"speaker-{round_}")
        clients = [await stage.listener(talk, language) for language in ("es", "fr", "en", "es")]
        await talk.speaker.socket.send(CHUNK)
        talk.hearing.final(0, "Hello.")
        await clients[0].until("translatedAudio")
        await clients[1].ask("languageChanged", action="changeLanguage", targetLanguage="pt")
        await clients[2].close()
        clients[3].drop()
        visitor = await stage.client()
        await visitor.refused(action="joinSession", sessionId=talk.session_id, targetLanguage="de")
        if round_ % 2:
            talk.speaker.drop()
            back = await stage.client()
            await back.ask(
                "stateRestored",
                action="refreshConnection",
                sessionId=talk.session_id,
                resumeToken=talk.created["resumeToken"],
            )
            talk.speaker = back
        await talk.speaker.ask("sessionEnded", action="endSession")
        for client in (*clients[:2], talk.speaker, visitor):
            await client.close()
    desk = stage.desk
    await eventually(lambda: not stage.gateway._connections)
    assert list(desk.rooms) == []
    assert desk.hub._relays == {}
    assert desk.hub._absent == {}
    assert stage.bus._channels == {}
    assert len(stage.gateway._visits) == 0
    await eventually(lambda: all(hearing.left.is_set() for hearing in stage.transcription.streams))
    assert stage.translation.open_streams == 0
    await eventually(lambda: len(asyncio.all_tasks()) <= before + 2)
