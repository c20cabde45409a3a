"""Connections that break and come back; sessions that wait, end, and outlive the session service."""

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.bus.base import NotOwner, Topic
from babelcast.errors import CapacityExhausted, ServiceUnavailable
from babelcast.event.v1.event_pb2 import Broadcast
from babelcast.session.v1 import session_pb2 as api
from session_svc.config import SessionConfig
from tests.integration.gateway.client import CHUNK, Client, Message
from tests.integration.gateway.stage import Stage, Talk, eventually, staged


def refresh(talk: Talk, token: object, **fields: object) -> Message:
    """The message that takes a role over."""
    return {
        "action": "refreshConnection",
        "sessionId": talk.session_id,
        "resumeToken": token,
        **fields,
    }


async def said(talk: Talk, segment: int, to: Client) -> None:
    """Say a sentence and wait until a listener heard it."""
    talk.hearing.final(segment, f"Sentence {segment}.")
    await to.until("translatedAudio", where=lambda m: m["segmentId"] == str(segment))


async def test_a_speaker_who_dropped_comes_back(stage: Stage) -> None:
    """The session waits; the new connection goes on with its state, on the same transcription stream."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    await talk.speaker.ask("broadcastControlled", action="muteBroadcast")
    await talk.speaker.ask("volumeChanged", action="setVolume", volumeLevel=0.5)
    await talk.speaker.socket.send(CHUNK)
    await talk.hearing.heard(len(CHUNK))
    talk.speaker.drop()
    await eventually(lambda: stage.room(talk).speaker is None)
    talk.hearing.final(0, "Said before.")
    await listener.until("translatedAudio")

    client = await stage.client()
    complete = await client.ask(
        "connectionRefreshComplete", **refresh(talk, talk.created["resumeToken"], requestId="b")
    )
    assert (complete["role"], complete["sessionId"], complete["requestId"]) == (
        "speaker",
        talk.session_id,
        "b",
    )
    assert complete["resumeToken"] != talk.created["resumeToken"]
    restored = await client.until("stateRestored")
    assert (restored["broadcastState"]["isMuted"], restored["broadcastState"]["volume"]) == (True, 0.5)
    await client.ask("broadcastControlled", action="unmuteBroadcast")
    await client.ask("volumeChanged", action="setVolume", volumeLevel=1)
    await client.socket.send(CHUNK)
    assert (await talk.hearing.heard(2 * len(CHUNK))).endswith(CHUNK)
    talk.hearing.final(1, "And after.")
    assert (await client.until("transcript"))["text"] == "And after."
    await listener.until("translatedAudio", where=lambda m: m["sequenceNumber"] == 2)
    assert len(stage.transcription.streams) == 1


async def test_a_pipeline_publishes_under_the_number_of_its_speaker(stage: Stage) -> None:
    """One more for each connection that speaks: whoever had a lower one cannot claim the talk any more."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    topic = Topic(talk.session_id, "en")
    await eventually(lambda: topic in stage.bus._channels)
    with pytest.raises(NotOwner):
        await stage.bus.claim(topic, epoch=0)
    client = await stage.client()
    await client.ask("stateRestored", **refresh(talk, talk.created["resumeToken"]))
    talk.hearing.final(0, "Said.")
    await listener.until("translatedAudio")
    for claimed in (topic, Topic(talk.session_id, "es")):
        with pytest.raises(NotOwner):
            await stage.bus.claim(claimed, epoch=1)


async def test_a_pipeline_that_another_gateway_replaced_is_not_used_again(stage: Stage) -> None:
    """The speaker was elsewhere and comes back here: what the one here holds is of the past."""
    talk = await stage.talk()
    first = stage.room(talk).pipeline
    assert first is not None
    await eventually(lambda: Topic(talk.session_id, "en") in stage.bus._channels)
    elsewhere = await stage.desk.sessions.refresh(
        api.RefreshConnectionRequest(
            session_id=talk.session_id,
            connection_id="elsewhere",
            resume_token=talk.created["resumeToken"],
        )
    )
    client = await stage.client()
    complete = await client.ask("connectionRefreshComplete", **refresh(talk, elsewhere.resume_token))
    assert complete["lastAudioSequence"] == 0
    await client.audio(sequence=1)
    assert (await stage.transcription.opened()).config.session_id == talk.session_id
    assert stage.room(talk).pipeline not in (first, None)
    assert talk.hearing.left.is_set()


async def test_coming_back_twice_before_it_is_known_where_the_talk_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first connection breaks while the log is read: the second is told the same place in the audio, so
    what has its words is not sent again.
    """
    talk = await stage.talk()
    await eventually(lambda: Topic(talk.session_id, "en") in stage.bus._channels)
    for number in range(1, 4):
        await talk.speaker.audio(sequence=number)
    await talk.hearing.heard(3 * len(CHUNK))
    talk.hearing.final(0, "Said.", end_ms=300)
    await talk.speaker.until("transcript")
    elsewhere = await stage.desk.sessions.refresh(
        api.RefreshConnectionRequest(
            session_id=talk.session_id,
            connection_id="elsewhere",
            resume_token=talk.created["resumeToken"],
        )
    )
    reading, read = asyncio.Event(), asyncio.Event()
    history = stage.bus.history

    async def read_late(topic: Topic, *, after_sequence: int) -> Sequence[Broadcast]:
        reading.set()
        await read.wait()
        return await history(topic, after_sequence=after_sequence)

    monkeypatch.setattr(stage.bus, "history", read_late)
    first, second = await stage.client(), await stage.client()
    await first.send(**refresh(talk, elsewhere.resume_token))
    await reading.wait()
    await second.send(**refresh(talk, elsewhere.resume_token))
    room = stage.room(talk)
    await eventually(lambda: room.session.owner_epoch == 4)
    read.set()
    complete = await second.until("connectionRefreshComplete")
    assert complete["lastAudioSequence"] == 2  # of the third a part is left over
    await second.audio(sequence=3)
    await second.audio(sequence=4)
    again = await stage.transcription.opened()
    assert len(await again.heard(2 * len(CHUNK) - 32 * 88)) == 2 * len(CHUNK) - 32 * 88


async def test_while_the_next_owner_reads_the_log(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who joins then in a new language is shown what was said before; what is not known yet cannot be edited
    yet, which is not to say that it was never said.
    """
    monkeypatch.setattr("gateway.speaker.PLACED_WITHIN_S", 0.01)
    talk = await stage.talk()
    talk.hearing.final(0, "Said.")
    await talk.speaker.until("transcript")
    elsewhere = await stage.desk.sessions.refresh(
        api.RefreshConnectionRequest(
            session_id=talk.session_id,
            connection_id="elsewhere",
            resume_token=talk.created["resumeToken"],
        )
    )
    read, history = asyncio.Event(), stage.bus.history

    async def read_late(topic: Topic, *, after_sequence: int) -> Sequence[Broadcast]:
        if topic.language == "en":
            await read.wait()
        return await history(topic, after_sequence=after_sequence)

    monkeypatch.setattr(stage.bus, "history", read_late)
    speaker, late = await stage.client(), await stage.client()
    complete = await speaker.ask("connectionRefreshComplete", **refresh(talk, elsewhere.resume_token))
    assert "lastAudioSequence" not in complete
    edit = {"action": "editTranscript", "segmentId": "0", "text": "Sad."}
    assert (await speaker.refused(**edit))["code"] == "SERVICE_UNAVAILABLE"
    await late.ask(
        "sessionJoined", action="joinSession", sessionId=talk.session_id, targetLanguage="fr", history=60
    )
    room = stage.room(talk)
    await eventually(lambda: "fr" in room.session.audience.languages)
    read.set()
    assert (await late.until("caption"))["text"] == "[fr] Said."
    await speaker.ask("transcript", **edit)


async def test_a_token_is_good_until_the_next_is_used(stage: Stage) -> None:
    """Afterwards it is refused, as is another session's token, and changes nothing."""
    talk, other = await stage.talk(), await stage.talk("bob")
    first, second, third = [await stage.client() for _ in range(3)]
    complete = await first.ask("connectionRefreshComplete", **refresh(talk, talk.created["resumeToken"]))
    complete = await second.ask("connectionRefreshComplete", **refresh(talk, complete["resumeToken"]))
    for token in (talk.created["resumeToken"], other.created["resumeToken"], "", "x"):
        refused = await third.refused(**refresh(talk, token))
        assert refused["code"] in ("UNAUTHORIZED", "MISSING_PARAMETER")
    await third.ask("connectionRefreshComplete", **refresh(talk, complete["resumeToken"]))
    for replaced in (first, second):
        assert (await replaced.closed())[0] == 1000


async def test_taking_over_from_a_connection_that_is_still_there(stage: Stage) -> None:
    """The old one is closed, and what it still had under way does not reach the talk."""
    talk = await stage.talk()
    room = stage.room(talk)
    client = await stage.client()
    await client.ask("stateRestored", **refresh(talk, talk.created["resumeToken"]))
    assert await talk.speaker.closed() == (1000, "replaced by a new connection")
    await eventually(lambda: len(room.members) == 1)
    await client.socket.send(CHUNK)
    await talk.hearing.heard(len(CHUNK))


async def test_a_replaced_speaker_cannot_do_anything(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even in the moment before its connection is closed: not speak, not end."""
    talk = await stage.talk()
    monkeypatch.setattr("gateway.outlet.Outlet.close_soon", lambda *_: None)
    client = await stage.client()
    await client.ask("stateRestored", **refresh(talk, talk.created["resumeToken"]))
    await talk.speaker.socket.send(CHUNK)
    assert (await talk.speaker.until("error"))["code"] == "CONFLICT"
    assert (await talk.speaker.refused(action="endSession"))["code"] == "CONFLICT"
    assert (await talk.speaker.refused(action="muteBroadcast"))["code"] == "CONFLICT"
    await client.socket.send(CHUNK)
    assert await talk.hearing.heard(len(CHUNK)) == CHUNK
    assert stage.room(talk).ended is None


async def test_coming_back_when_transcription_is_full(stage: Stage) -> None:
    """The speaker is back and told of the interruption; the pipeline goes on as soon as there is room."""
    talk = await stage.talk()
    room = stage.room(talk)
    talk.speaker.drop()
    await eventually(lambda: room.speaker is None)
    assert room.pipeline is not None
    await room.pipeline.aclose()
    room.pipeline = None
    stage.desk.rooms._rooms[talk.session_id] = room
    stage.transcription.refusals = [CapacityExhausted("Full.") for _ in range(3)]
    client = await stage.client()
    await client.ask("stateRestored", **refresh(talk, talk.created["resumeToken"]))
    await client.socket.send(CHUNK)
    degraded = await client.until("serviceDegraded")
    assert degraded["component"] == "transcription"
    assert "targetLanguage" not in degraded
    await client.until("systemRecovered")
    again = await stage.transcription.opened()
    assert await again.heard(len(CHUNK)) == CHUNK
    assert client.all("error") == []


async def test_take_overs_at_once(stage: Stage) -> None:
    """One keeps the role in the end, the others are replaced or refused, and there is one pipeline."""
    talk = await stage.talk()
    clients = [await stage.client() for _ in range(4)]
    for client in clients:
        await client.send(**refresh(talk, talk.created["resumeToken"]))
    for client in clients:
        try:
            await client.fence()
        except ConnectionClosed:
            await client.closed()  # reads what came before
    room = stage.room(talk)
    await eventually(lambda: len(room.members) == 1)
    got = [client for client in clients if client.all("stateRestored")]
    assert got
    for client in clients:  # one may be replaced before it could be told that it has the role
        told = client.all("stateRestored") or client.all("error")
        assert told or client.socket.close_reason == "replaced by a new connection"
    await eventually(lambda: sum(client.socket.close_code is None for client in got) == 1)
    assert len(stage.transcription.streams) == 1


async def test_a_listener_catches_up(stage: Stage) -> None:
    """With its token and last number: everything missed, in order, once, then the rest."""
    talk = await stage.talk()
    stays = await stage.listener(talk)
    client = await stage.client()
    joined = await client.ask(
        "sessionJoined", action="joinSession", sessionId=talk.session_id, targetLanguage="es"
    )
    for segment in range(3):
        await said(talk, segment, client)
    client.drop()
    room = stage.room(talk)
    await eventually(lambda: room.session.audience.listener_count == 1)
    for segment in range(3, 6):
        await said(talk, segment, stays)
    back = await stage.client()
    complete = await back.ask(
        "connectionRefreshComplete",
        **refresh(talk, joined["resumeToken"], lastSequenceNumber=3, requestId="l"),
    )
    assert (complete["role"], complete["targetLanguage"], complete["lastSequenceNumber"]) == (
        "listener",
        "es",
        6,
    )
    assert complete["requestId"] == "l"
    await said(talk, 6, back)
    assert [m["sequenceNumber"] for m in back.all("translatedAudio")] == [4, 5, 6, 7]
    assert [m["segmentId"] for m in back.all("caption")] == ["3", "4", "5", "6"]
    assert [m["sequenceNumber"] for m in stays.all("translatedAudio")] == list(range(1, 7))


async def test_joining_with_a_resume_token_catches_up_too(stage: Stage) -> None:
    """So a client that only knows joinSession loses nothing either; without a number it starts afresh."""
    talk = await stage.talk()
    stays = await stage.listener(talk)
    client = await stage.client()
    join: Message = {"action": "joinSession", "sessionId": talk.session_id, "targetLanguage": "es"}
    joined = await client.ask("sessionJoined", **join)
    await said(talk, 0, client)
    client.drop()
    await said(talk, 1, stays)
    back = await stage.client()
    again = await back.ask("sessionJoined", **join, resumeToken=joined["resumeToken"], lastSequenceNumber=1)
    assert (again["lastSequenceNumber"], again["listenerCount"]) == (2, 2)
    await said(talk, 2, back)
    assert [m["sequenceNumber"] for m in back.all("translatedAudio")] == [2, 3]
    fresh = await stage.client()
    assert (await fresh.ask("sessionJoined", **join))["lastSequenceNumber"] == 3
    await said(talk, 3, fresh)
    assert [m["sequenceNumber"] for m in fresh.all("translatedAudio")] == [4]


async def test_joining_in_a_seat_that_is_still_taken(stage: Stage) -> None:
    """Whoever joins with a resume token has the seat: the connection that held it is told and closed."""
    talk = await stage.talk()
    client = await stage.client()
    join: Message = {"action": "joinSession", "sessionId": talk.session_id, "targetLanguage": "es"}
    joined = await client.ask("sessionJoined", **join)
    back = await stage.client()
    again = await back.ask("sessionJoined", **join, resumeToken=joined["resumeToken"])
    assert again["listenerCount"] == 1
    assert await client.closed() == (1000, "replaced by a new connection")
    await said(talk, 0, back)


async def test_resuming_while_sentences_come(stage: Stage) -> None:
    """However the two meet, there is no gap and no repetition."""
    talk = await stage.talk()
    stays = await stage.listener(talk)
    client = await stage.client()
    joined = await client.ask(
        "sessionJoined", action="joinSession", sessionId=talk.session_id, targetLanguage="es"
    )
    token, last, segment = joined["resumeToken"], 0, 0
    for _ in range(10):
        client.drop()
        client = await stage.client()
        await client.send(**refresh(talk, token, lastSequenceNumber=last))
        for _ in range(5):
            talk.hearing.final(segment, f"Sentence {segment}.")
            segment += 1
            await asyncio.sleep(0)
        complete = await client.until("connectionRefreshComplete")
        token = complete["resumeToken"]
        await client.until("translatedAudio", where=lambda m: m["segmentId"] == str(segment - 1))  # noqa: B023
        got = [m["sequenceNumber"] for m in client.all("translatedAudio")]
        assert got == list(range(last + 1, segment + 1))
        last = segment
    await stays.until("translatedAudio", where=lambda m: m["sequenceNumber"] == segment)
    assert [m["sequenceNumber"] for m in stays.all("translatedAudio")] == list(range(1, segment + 1))


@pytest.mark.parametrize("code", [None, 1001, 1005, 4000])
async def test_the_only_listener_of_a_language_drops(stage: Stage, code: int | None) -> None:
    """For a while its language is still made, so that coming back it has missed nothing: without a word, and
    as browsers close when a page is reloaded (1001) or gives no reason (1005).
    """
    talk = await stage.talk()
    other = await stage.listener(talk, "fr")
    client = await stage.client()
    joined = await client.ask(
        "sessionJoined", action="joinSession", sessionId=talk.session_id, targetLanguage="es"
    )
    room = stage.room(talk)
    await eventually(lambda: "es" in room.session.audience.languages)
    await said(talk, 0, client)
    if code is None:
        client.drop()
    elif code == 1005:
        client.socket.protocol.send_close()
        client.socket.send_data()
    else:
        await client.socket.close(code)
    await eventually(lambda: "es" not in room.session.audience.languages)
    await said(talk, 1, other)
    await said(talk, 2, other)
    back = await stage.client()
    await back.ask("connectionRefreshComplete", **refresh(talk, joined["resumeToken"], lastSequenceNumber=1))
    await said(talk, 3, back)
    assert [m["segmentId"] for m in back.all("translatedAudio")] == ["1", "2", "3"]
    assert [m["sequenceNumber"] for m in back.all("translatedAudio")] == [2, 3, 4]


async def test_a_language_that_nobody_comes_back_to(stage: Stage) -> None:
    """Whoever leaves on purpose is not waited for, and whoever dropped not for longer than can be resumed."""
    talk = await stage.talk()
    other = await stage.listener(talk, "fr")
    room = stage.room(talk)
    leaves = await stage.listener(talk, "pt")
    await leaves.close()
    drops = await stage.listener(talk, "es")
    drops.drop()
    await eventually(lambda: list(room.session.audience.languages) == ["fr"])
    await said(talk, 0, other)
    stage.clock.now_s += stage.desk.config.resume_window_seconds + 1
    await said(talk, 1, other)
    assert stage.translation.asked("pt") == []
    assert stage.translation.asked("es") == [0]


async def test_grace_expires(tmp_path: Path, issuer: LocalIssuer) -> None:
    """A speaker who does not come back ends the session: listeners are told why, and nothing is left."""
    async with staged(tmp_path, issuer, record=SessionConfig(speaker_grace_seconds=0.05)) as stage:
        talk = await stage.talk()
        listener = await stage.listener(talk)
        talk.speaker.drop()
        ended = await listener.until("sessionEnded")
        assert ended["reason"] == "speakerDisconnected"
        assert (await listener.closed())[0] == 1000
        await talk.hearing.left.wait()
        await eventually(lambda: not list(stage.desk.rooms))
        refused = await (await stage.client()).refused(**refresh(talk, talk.created["resumeToken"]))
        assert refused["code"] in ("SESSION_ENDED", "SESSION_NOT_FOUND")


async def test_a_session_reaches_its_longest_time(tmp_path: Path, issuer: LocalIssuer) -> None:
    """What is being said goes through, then all are told; the speaker's connection may open another."""
    record = SessionConfig(session_max_duration_hours=0.3 / 3600)
    async with staged(tmp_path, issuer, record=record) as stage:
        stage.transcription.answer_end = False
        talk = await stage.talk()
        listener = await stage.listener(talk)
        await talk.hearing.end_came.wait()
        talk.hearing.final(0, "Last words.")
        talk.hearing.end()
        ended = await talk.speaker.until("sessionEnded")
        assert ended["reason"] == "expired"
        await listener.closed()
        assert [m["type"] for m in listener.seen[-2:]] == ["translatedAudio", "sessionEnded"]
        stage.transcription.answer_end = True
        await talk.speaker.ask("sessionCreated", action="createSession", sourceLanguage="en")


async def test_the_session_service_restarts(stage: Stage) -> None:
    """The talk goes on meanwhile; then changes are followed again, and what was missed is read."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    room = stage.room(talk)
    await stage.record.aclose()
    talk.hearing.final(0, "Meanwhile.")
    await listener.until("translatedAudio")
    refused = await talk.speaker.refused(action="muteBroadcast")
    assert refused["code"] == "SERVICE_UNAVAILABLE"
    room.session.audience.listener_count = 99  # as if changes had been missed
    await stage.restart_record()
    await eventually(lambda: room.session.audience.listener_count == 1)
    french = await stage.listener(talk, "fr")
    talk.hearing.final(1, "Afterwards.")
    await french.until("translatedAudio")
    await listener.until("translatedAudio")
    await talk.speaker.ask("broadcastControlled", action="muteBroadcast")
    await listener.until("broadcastMuted")


async def test_a_talk_that_cannot_be_ended_now_goes_on(stage: Stage) -> None:
    """Without the session service the speaker is refused, is heard on, and ends it later."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    await said(talk, 0, listener)
    await stage.record.aclose()
    assert (await talk.speaker.refused(action="endSession"))["code"] == "SERVICE_UNAVAILABLE"
    stage.room(talk).session.audience.listener_count = 99  # until it is read again
    await stage.restart_record()
    await eventually(lambda: stage.room(talk).session.audience.listener_count == 1)
    await talk.speaker.audio()
    talk.hearing = await stage.transcription.opened()
    assert talk.hearing.config.first_segment == 1
    assert await talk.hearing.heard(len(CHUNK)) == CHUNK
    await said(talk, 1, listener)
    await talk.speaker.ask("sessionEnded", action="endSession")


async def test_a_session_that_ended_while_nobody_watched(stage: Stage, tmp_path: Path) -> None:
    """It is found out when the watch is opened again, and all are told."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    await stage.record.aclose()
    stage.record_config = dataclasses.replace(stage.record_config, data_dir=str(tmp_path / "another"))
    await stage.restart_record()
    assert (await listener.until("sessionEnded"))["reason"] == "expired"
    assert (await talk.speaker.until("sessionEnded"))["reason"] == "expired"
    await eventually(lambda: not list(stage.desk.rooms))


async def test_a_session_that_ends_between_being_read_and_being_entered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener whose seat was granted just before the end is told of it, though its room is new."""
    monkeypatch.setattr("gateway.fanout.DRAINED_WITHIN_S", 0.05)
    talk = await stage.talk()
    join = stage.desk.sessions.join

    async def and_then_it_ends(request: object) -> object:
        joined = await join(request)  # type: ignore[arg-type]
        await talk.speaker.ask("sessionEnded", action="endSession")
        await eventually(lambda: not list(stage.desk.rooms))
        return joined

    monkeypatch.setattr(stage.desk.sessions, "join", and_then_it_ends)
    client = await stage.client()
    await client.send(action="joinSession", sessionId=talk.session_id, targetLanguage="es")
    await client.until("sessionEnded")
    assert (await client.closed())[0] == 1000
    await eventually(lambda: not list(stage.desk.rooms))


async def test_a_change_between_being_read_and_being_entered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new room that missed a change finds it out."""
    talk = await stage.talk()
    room = stage.room(talk)
    refreshed = stage.desk.sessions.refresh

    async def and_then_it_changes(request: object) -> object:
        taken = await refreshed(request)  # type: ignore[arg-type]
        await listener.ask("languageChanged", action="changeLanguage", targetLanguage="fr")
        await eventually(lambda: "fr" in room.session.audience.languages)
        assert room.pipeline is not None
        await room.pipeline.aclose()
        stage.desk.rooms._rooms.clear()  # as if the session had been on another gateway
        return taken

    listener = await stage.listener(talk)
    monkeypatch.setattr(stage.desk.sessions, "refresh", and_then_it_changes)
    client = await stage.client()
    await client.ask("stateRestored", **refresh(talk, talk.created["resumeToken"]))
    await client.fence()
    found = stage.room(talk)
    assert found is not room
    assert dict(found.session.audience.languages) == {"fr": 1}


async def test_a_seat_that_cannot_be_served_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the bus does not answer, who joins or comes back is told so, and does not count as a listener."""
    talk = await stage.talk()
    listener = await stage.client()
    join: Message = {"action": "joinSession", "sessionId": talk.session_id, "targetLanguage": "es"}
    joined = await listener.ask("sessionJoined", **join)

    async def away(*_: object, **__: object) -> None:
        raise ServiceUnavailable("The bus is away.")

    back, new = await stage.client(), await stage.client()
    with monkeypatch.context() as patched:
        patched.setattr(stage.desk.hub, "attach", away)
        refused = await back.refused(**refresh(talk, joined["resumeToken"]))
        assert refused["code"] == "SERVICE_UNAVAILABLE"
        assert (await new.refused(**join))["code"] == "SERVICE_UNAVAILABLE"
    room = stage.room(talk)
    await eventually(lambda: room.session.audience.listener_count == 0)
    for client in (back, new):
        await client.ask("sessionJoined", **join)
    await eventually(lambda: room.session.audience.listener_count == 2)
