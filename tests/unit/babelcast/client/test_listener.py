"""The listener's side against a real socket."""

import base64
from dataclasses import replace
from random import Random

import msgspec
import pytest

from babelcast.client import (
    ClientSettings,
    EventsDropped,
    Listener,
    Reconnected,
    Reconnecting,
    SequenceGap,
    Voice,
)
from babelcast.client.events import Event
from babelcast.errors import BabelcastError, ErrorCode
from babelcast.protocol import codec
from babelcast.protocol.client_messages import AnyClientMessage, JoinSession, RefreshConnection
from babelcast.protocol.server_messages import Caption, Error, ServerMessage, SessionEnded
from tests.unit.babelcast.client.canned_server import CODE, CannedServer, make_voice

PCM = bytes(range(200))
ENDED = SessionEnded(session_id=CODE, reason="speakerEnded")


def caption(number: int, *, final: bool = True) -> Caption:
    """A caption with its number as text."""
    return Caption(
        segment_id=f"s{number}",
        revision=0,
        target_language="es",
        text=f"frase {number}",
        source_text="",
        is_final=final,
    )


def numbers(events: list[Event]) -> list[int]:
    """The numbers of the voice among events."""
    return [event.message.sequence_number for event in events if isinstance(event, Voice)]


async def test_voice_is_decoded_whichever_way_it_is_delivered(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """Base64 in JSON and bytes in a binary frame end up the same."""
    async with await Listener.connect(canned.url, settings=quick) as listener:
        joined = await listener.join(CODE, "es")
        await canned.say(make_voice(1, audio=base64.b64encode(PCM).decode()))
        await canned.say_raw(codec.pack_binary(codec.encode_server(make_voice(2)), PCM))
        await canned.say(caption(2), ENDED)
        events = [event async for event in listener]
    assert joined.target_language == "es"
    assert events == [Voice(make_voice(1), PCM), Voice(make_voice(2), PCM), caption(2), ENDED]


async def test_voice_that_is_not_base64_is_left_out_and_seen_as_a_gap(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """A broken message does not end the connection; its number is missed."""
    async with await Listener.connect(canned.url, settings=quick) as listener:
        await listener.join(CODE, "es")
        await canned.say(make_voice(1, audio="***"), make_voice(2, audio=""), ENDED)
        events = [event async for event in listener]
    assert events[0] == SequenceGap("es", expected=1, found=2)
    assert numbers(events) == [2]


async def test_a_gap_is_announced_and_a_repetition_left_out(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """Numbers 1, 1, 2, 5 become 1, 2, a gap, 5."""
    async with await Listener.connect(canned.url, settings=quick) as listener:
        await listener.join(CODE, "es")
        await canned.say(*(make_voice(number, audio="") for number in (1, 1, 2, 5)), ENDED)
        events = [event async for event in listener]
    assert numbers(events) == [1, 2, 5]
    assert events[2] == SequenceGap("es", expected=3, found=5)


async def test_another_language_has_its_own_numbers(canned: CannedServer, quick: ClientSettings) -> None:
    """After a change of language, and after a pause of the voice, nothing is missed that was not wanted."""
    async with await Listener.connect(canned.url, settings=quick) as listener:
        await listener.join(CODE, "es")
        await canned.say(make_voice(1, audio=""))
        changed = await listener.change_language("fr")
        await canned.say(make_voice(41, language="fr", audio=""))
        await listener.pause_playback()
        await listener.resume_playback()
        await canned.say(make_voice(91, language="fr", audio=""), ENDED)
        events = [event async for event in listener]
    assert changed.target_language == "fr"
    assert numbers(events) == [1, 41, 91]
    assert not [event for event in events if isinstance(event, SequenceGap)]


async def test_a_lost_listener_comes_back_for_what_it_missed(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """The refresh names the last number taken in, and a repeated message is not heard twice."""
    settings = quick
    async with await Listener.connect(canned.url, settings=settings, random=random) as listener:
        await listener.join(CODE, "es", delivery="json", captions="final", audio="opus")
        await canned.say(make_voice(1, audio=""), make_voice(2, audio=""))
        await canned.connections[-1].close(1001, "draining")
        events: list[Event] = []
        async for event in listener:
            events.append(event)
            if isinstance(event, Reconnected):
                await canned.say(*(make_voice(number, audio="") for number in (2, 3)), ENDED)
    assert numbers(events) == [1, 2, 3]
    assert Reconnecting(1001, "draining") in events
    refreshed = canned.heard[-1]
    assert isinstance(refreshed, RefreshConnection)
    assert refreshed.last_sequence_number == 2
    assert (refreshed.delivery, refreshed.captions, refreshed.audio) == ("json", "final", "opus")


async def test_a_second_loss_uses_the_new_resume_token(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """Resume tokens are used once: each refresh brings the next."""
    async with await Listener.connect(canned.url, settings=quick, random=random) as listener:
        await listener.join(CODE, "es")
        for _ in range(2):
            await canned.connections[-1].close(1011)
            async for event in listener:
                if isinstance(event, Reconnected):
                    break
    used = [message.resume_token for message in canned.heard if isinstance(message, RefreshConnection)]
    assert used == ["resume-1", "resume-2"]


async def test_a_slow_iterator_loses_the_oldest_and_is_told(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """The queue is bounded; what is lost is counted."""
    async with await Listener.connect(canned.url, settings=replace(quick, event_capacity=3)) as listener:
        await listener.join(CODE, "es")
        await canned.say(*(caption(number) for number in range(5)))
        await listener.status()
        events = aiter(listener)
        got = [await anext(events) for _ in range(4)]
    assert got == [EventsDropped(2), caption(2), caption(3), caption(4)]


async def test_a_refused_join_is_raised(canned: CannedServer, quick: ClientSettings) -> None:
    """SESSION_NOT_FOUND reaches the caller by name."""

    def refuse(message: AnyClientMessage) -> ServerMessage:
        assert isinstance(message, JoinSession)
        return Error(code="SESSION_NOT_FOUND", message="There is none.", correlation_id="x")

    canned.answer = refuse
    async with await Listener.connect(canned.url, settings=quick) as listener:
        with pytest.raises(BabelcastError) as caught:
            await listener.join(CODE, "es")
    assert caught.value.code is ErrorCode.SESSION_NOT_FOUND


async def test_the_normal_end_of_a_connection_ends_the_iteration(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """Close code 1000 is no error and no reason to come back."""
    async with await Listener.connect(canned.url, settings=quick) as listener:
        await listener.join(CODE, "es")
        await canned.connections[-1].close(1000)
        assert [event async for event in listener] == []
    assert len(canned.connections) == 1


async def test_closing_twice_is_harmless(canned: CannedServer, quick: ClientSettings) -> None:
    """`aclose` may be called again, and nothing stays behind."""
    listener = await Listener.connect(canned.url, settings=quick)
    await listener.aclose()
    await listener.aclose()
    assert [event async for event in listener] == []


def test_a_voice_event_does_not_carry_its_sound_twice() -> None:
    """The message of a Voice has no base64 any more."""
    assert make_voice(1).audio_data is msgspec.UNSET
