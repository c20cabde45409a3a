"""The speaker's side against a real socket."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from babelcast.client import AudioDropped, ClientSettings, Reconnected, Reconnecting, Speaker
from babelcast.client.events import Event
from babelcast.errors import BabelcastError, ErrorCode, ServiceUnavailable
from babelcast.protocol.client_messages import (
    AnyClientMessage,
    CreateSession,
    EndSession,
    Heartbeat,
    RefreshConnection,
    SendAudio,
)
from babelcast.protocol.server_messages import (
    AudioQualityWarning,
    ConnectionRefreshRequired,
    Error,
    ServerMessage,
    SessionEnded,
    Transcript,
)
from tests.unit.babelcast.client.canned_server import CODE, CannedServer, usual_answer

CHUNK = bytes(3_200)


async def test_a_session_is_created_with_the_token_in_the_header(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """The token travels as a bearer header, and the answer is the session."""
    async with await Speaker.connect(canned.url, token="secret", settings=quick) as speaker:
        session = await speaker.create_session("en", glossary={"Babelcast": {"es": "Babelcast"}})
    assert session.session_id == CODE
    assert canned.tokens == ["Bearer secret"]
    created = canned.heard[0]
    assert isinstance(created, CreateSession)
    assert created.glossary == {"Babelcast": {"es": "Babelcast"}}


async def test_audio_goes_as_binary_frames_before_the_end(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """Everything queued reaches the server before the session is ended."""
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        await speaker.create_session("en")
        for _ in range(7):
            await speaker.send_audio(CHUNK)
        ended = await speaker.end()
        events = [event async for event in speaker]
    assert ended.reason == "speakerEnded"
    assert sum(map(len, canned.audio)) == 7 * len(CHUNK)
    assert isinstance(canned.heard[-1], EndSession)
    assert [type(event) for event in events] == [SessionEnded]


async def test_an_unusual_sample_rate_is_declared_once(canned: CannedServer, quick: ClientSettings) -> None:
    """The first chunk goes as JSON that names the rate, the others as bytes."""
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        await speaker.create_session("en")
        for _ in range(3):
            await speaker.send_audio(CHUNK, sample_rate_hz=8_000)
            await speaker.flush()
    declared = [message for message in canned.heard if isinstance(message, SendAudio)]
    assert [message.sample_rate for message in declared] == [8_000]
    assert sum(map(len, canned.audio)) == 3 * len(CHUNK)


async def test_a_refusal_is_raised_with_its_code(canned: CannedServer, quick: ClientSettings) -> None:
    """An error that answers a request is raised where the request was made."""

    def refuse(message: AnyClientMessage) -> ServerMessage:
        return Error(
            code="SERVICE_UNAVAILABLE", message="Full.", correlation_id="x", details={"retryAfter": 5}
        )

    canned.answer = refuse
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        with pytest.raises(BabelcastError) as caught:
            await speaker.create_session("en")
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert caught.value.details == {"retryAfter": 5}


async def test_an_error_that_answers_nothing_is_an_event(canned: CannedServer, quick: ClientSettings) -> None:
    """An error about a binary frame comes through the iterator, like any other message."""
    warning = AudioQualityWarning(issue="snr_low", message="Move closer.", details={"snrDb": 12.0})
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        await speaker.create_session("en")
        await canned.say(Error(code="INVALID_AUDIO_FORMAT", message="Odd.", correlation_id="x"), warning)
        events = aiter(speaker)
        first, second = await anext(events), await anext(events)
    assert isinstance(first, Error)
    assert second == warning


async def test_controls_and_status_are_answered(canned: CannedServer, quick: ClientSettings) -> None:
    """Each request gets its own answer, even when several are under way."""
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        await speaker.create_session("en")
        paused, status, resumed = await asyncio.gather(
            speaker.control("pause"), speaker.status(), speaker.control("resume")
        )
    assert (paused.control_action, status.listener_count, resumed.control_action) == ("pause", 1, "resume")


async def test_a_request_without_an_answer_fails_in_time(canned: CannedServer, quick: ClientSettings) -> None:
    """A server that says nothing costs the deadline, no more."""
    canned.answer = lambda _message: None
    async with await Speaker.connect(canned.url, settings=replace(quick, request_timeout_s=0.1)) as speaker:
        with pytest.raises(ServiceUnavailable, match="in time"):
            await speaker.create_session("en")


async def test_an_unfitting_answer_is_an_error(canned: CannedServer, quick: ClientSettings) -> None:
    """An answer of another type than the one that belongs to the request is not passed on."""
    canned.answer = lambda _message: SessionEnded(session_id=CODE, reason="x")
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        with pytest.raises(BabelcastError) as caught:
            await speaker.create_session("en")
    assert caught.value.code is ErrorCode.INVALID_MESSAGE


async def test_a_lost_speaker_takes_the_session_over(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """After an abnormal end the session is refreshed with the resume token and the audio goes on."""
    async with await Speaker.connect(canned.url, token="secret", settings=quick, random=random) as speaker:
        await speaker.create_session("en")
        await canned.connections[-1].close(1011, "restart")
        events: list[Event] = []
        async for event in speaker:
            events.append(event)
            if isinstance(event, Reconnected):
                break
        await speaker.send_audio(CHUNK)
        await canned.until(lambda: bool(canned.audio))
    assert events == [Reconnecting(1011, "restart"), Reconnected()]
    refreshed = next(message for message in canned.heard if isinstance(message, RefreshConnection))
    assert (refreshed.session_id, refreshed.resume_token, refreshed.token) == (CODE, "resume-1", "secret")


async def test_audio_waits_while_the_connection_is_away(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """What is said meanwhile arrives afterwards, in few frames; when it is too much the oldest goes."""
    settings = replace(quick, audio_waiting_s=0.4)
    async with await Speaker.connect(canned.url, settings=settings, random=random) as speaker:
        await speaker.create_session("en")
        canned.refuse = [503, 503]
        await canned.connections[-1].close(1011)
        events = aiter(speaker)
        assert isinstance(await anext(events), Reconnecting)
        for number in range(1, 8):
            await speaker.send_audio(bytes([number]) * 3_200)
        await speaker.flush()
        await canned.until(lambda: bool(canned.audio))
        await speaker.end()
        dropped = [event async for event in events if isinstance(event, AudioDropped)]
    heard = b"".join(canned.audio)
    kept = list(dict.fromkeys(heard))
    assert kept == sorted(kept)
    assert kept[-1] == 7
    assert len(kept) + len(dropped) == 7
    assert dropped
    assert max(map(len, canned.audio)) > 3_200


async def test_a_server_that_asks_for_it_gets_a_new_connection_first(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """The old connection is let go only after the new one has the role."""
    async with await Speaker.connect(canned.url, settings=quick, random=random) as speaker:
        await speaker.create_session("en")
        old = canned.connections[-1]
        await canned.say(
            ConnectionRefreshRequired(session_id=CODE, role="speaker", refresh_by=0, reason="draining")
        )
        async for event in speaker:
            if isinstance(event, Reconnected):
                break
        await old.wait_closed()
    assert isinstance(canned.heard[-1], RefreshConnection)
    assert len(canned.connections) == 2


async def test_a_refusal_to_resume_is_the_end(canned: CannedServer, quick: ClientSettings) -> None:
    """When the session is gone the iteration raises why, and audio is refused."""

    def gone(message: AnyClientMessage) -> ServerMessage | None:
        if isinstance(message, RefreshConnection):
            return Error(code="SESSION_ENDED", message="It is over.", correlation_id="x")
        return usual_answer(message)

    canned.answer = gone
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        await speaker.create_session("en")
        await canned.connections[-1].close(1011)
        with pytest.raises(BabelcastError) as caught:
            async for _ in speaker:
                pass
        assert caught.value.code is ErrorCode.SESSION_ENDED
        with pytest.raises(BabelcastError):
            await speaker.status()
        with pytest.raises(BabelcastError):
            await speaker.send_audio(CHUNK)


async def test_a_gateway_that_stays_away_is_given_up(canned: CannedServer, quick: ClientSettings) -> None:
    """After the resume window the last failure is raised."""
    async with await Speaker.connect(canned.url, settings=replace(quick, resume_window_s=0.1)) as speaker:
        await speaker.create_session("en")
        canned.refuse = [503] * 1_000
        await canned.connections[-1].close(1011)
        with pytest.raises(ServiceUnavailable):
            async for _ in speaker:
                pass


async def test_a_connection_without_a_session_is_not_made_again(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """There is nothing to resume before a session: the loss is raised."""
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        await canned.until(lambda: len(canned.connections) == 1)
        await canned.connections[-1].close(1011, "bye")
        with pytest.raises(ServiceUnavailable, match="bye"):
            async for _ in speaker:
                pass
    assert len(canned.connections) == 1


async def test_a_request_under_way_fails_when_the_connection_is_lost(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """It may or may not have been done, so it is not sent again."""
    canned.answer = lambda _message: None
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        asking = asyncio.create_task(speaker.status())
        await canned.until(lambda: bool(canned.heard))
        await canned.connections[-1].close(1011)
        with pytest.raises(ServiceUnavailable, match="before the answer"):
            await asking


async def test_heartbeats_go_by_themselves(canned: CannedServer, quick: ClientSettings) -> None:
    """A client that only waits still says that it is there."""
    settings = replace(quick, heartbeat_interval_s=0.01)
    async with await Speaker.connect(canned.url, settings=settings):
        await canned.until(lambda: sum(isinstance(message, Heartbeat) for message in canned.heard) >= 3)


async def test_an_unanswered_heartbeat_means_a_lost_connection(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """A server that is silent is left and joined anew."""

    def deaf(message: AnyClientMessage) -> ServerMessage | None:
        return None if isinstance(message, Heartbeat) else usual_answer(message)

    canned.answer = deaf
    settings = replace(quick, heartbeat_interval_s=0.05, silence_timeout_s=0.2)
    async with await Speaker.connect(canned.url, settings=settings, random=random) as speaker:
        await speaker.create_session("en")
        events = aiter(speaker)
        first = await anext(events)
        second = await anext(events)
    assert isinstance(first, Reconnecting)
    assert isinstance(second, Reconnected)


async def test_nobody_there_is_one_clear_error(quick: ClientSettings) -> None:
    """A refused connection is SERVICE_UNAVAILABLE and names the address."""
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1/"):
        await Speaker.connect("ws://127.0.0.1:1", settings=quick)


async def test_a_bad_token_is_refused_at_the_door(canned: CannedServer, quick: ClientSettings) -> None:
    """HTTP 401 at the upgrade is UNAUTHORIZED."""
    canned.refuse = [401]
    with pytest.raises(BabelcastError) as caught:
        await Speaker.connect(canned.url, token="bad", settings=quick)
    assert caught.value.code is ErrorCode.UNAUTHORIZED


async def test_unknown_messages_are_passed_over(canned: CannedServer, quick: ClientSettings) -> None:
    """A newer server's words do not end the connection."""
    transcript = Transcript(
        segment_id="1",
        revision=0,
        text="a",
        stable_text="",
        is_final=False,
        stability=0,
        start_time=0,
        end_time=1,
    )
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        await speaker.create_session("en")
        await canned.say_raw('{"type":"brandNew"}')
        await canned.say_raw("no json")
        await canned.say_raw(b"\xff\xff\xff\xff")
        await canned.say(transcript)
        assert await anext(aiter(speaker)) == transcript
