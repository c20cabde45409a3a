"""How a connection is replaced."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest

from babelcast.client import ClientSettings, Listener, Reconnected, Reconnecting, Voice
from babelcast.client.events import Event
from babelcast.errors import BabelcastError, ErrorCode
from babelcast.protocol.client_messages import AnyClientMessage, PausePlayback, RefreshConnection
from babelcast.protocol.server_messages import (
    Caption,
    ConnectionRefreshRequired,
    Error,
    ServerMessage,
    SessionEnded,
)
from tests.unit.babelcast.client.canned_server import CODE, CannedServer, make_voice, usual_answer

ENDED = SessionEnded(session_id=CODE, reason="speakerEnded")
CAPTION = Caption(
    segment_id="1", revision=2, target_language="es", text="Hola.", source_text="Hello.", is_final=True
)


@asynccontextmanager
async def another() -> AsyncIterator[CannedServer]:
    """A second gateway."""
    server = CannedServer()
    await server.start()
    assert server.server is not None
    async with server.server:
        yield server


async def until_back(listener: Listener) -> list[Event]:
    """The events up to the new connection."""
    events: list[Event] = []
    async for event in listener:
        events.append(event)
        if isinstance(event, Reconnected):
            break
    return events


def draining(*, within_ms: int = 0) -> ConnectionRefreshRequired:
    """A gateway that is about to stop."""
    return ConnectionRefreshRequired(
        session_id=CODE, role="listener", refresh_by=5_000 + within_ms, timestamp=5_000, reason="draining"
    )


async def test_the_first_gateway_that_answers_is_taken(canned: CannedServer, quick: ClientSettings) -> None:
    """One that cannot be reached or takes nobody is passed over; a bad token is bad everywhere."""
    async with another() as busy:
        busy.refuse = [503]
        urls = ["127.0.0.1:1", busy.url, canned.url]
        async with await Listener.connect(urls, settings=quick) as listener:
            assert (await listener.join(CODE, "es")).session_id == CODE
        busy.refuse = [401]
        with pytest.raises(BabelcastError) as caught:
            await Listener.connect([busy.url, canned.url], settings=quick)
    assert caught.value.code is ErrorCode.UNAUTHORIZED
    with pytest.raises(BabelcastError):
        await Listener.connect([], settings=quick)


async def test_a_draining_gateway_is_left_for_another(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """The other one has the role before the old connection is closed."""
    async with another() as second:
        urls = [canned.url, second.url]
        async with await Listener.connect(urls, settings=quick, random=random) as listener:
            await listener.join(CODE, "es")
            await canned.say(draining())
            events = await until_back(listener)
            await canned.connections[-1].wait_closed()
            await second.say(ENDED)
    assert Reconnecting(0, "draining") in events
    assert [type(message) for message in second.heard] == [RefreshConnection]


async def test_both_connections_together_tell_everything_once(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """What comes on the old one while the new one is made, and again on the new one, is one event."""
    async with another() as second:

        def greet(message: AnyClientMessage) -> ServerMessage | None:
            late.set()
            return usual_answer(message)

        late = asyncio.Event()
        second.answer = greet
        urls = [canned.url, second.url]
        async with await Listener.connect(urls, settings=quick, random=random) as listener:
            await listener.join(CODE, "es")
            await canned.say(make_voice(1, audio=""), CAPTION, draining())
            await late.wait()
            await canned.say(make_voice(2, audio=""))
            await until_back(listener)
            await second.say(*(make_voice(number, audio="") for number in (1, 2, 3)), CAPTION, ENDED)
            rest = [event async for event in listener]
    numbers = [event.message.sequence_number for event in rest if isinstance(event, Voice)]
    assert numbers in ([2, 3], [3], [1, 2, 3])
    assert [event for event in rest if isinstance(event, Caption)] == []


async def test_who_asks_for_patience_is_given_it(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """`retryAfter` of a refused refresh is waited for."""
    refusals = iter([0.3])

    def busy(message: AnyClientMessage) -> ServerMessage | None:
        if isinstance(message, RefreshConnection) and (wait_s := next(refusals, None)):
            details = {"retryAfter": wait_s}
            return Error(code="SERVICE_UNAVAILABLE", message="Full.", correlation_id="x", details=details)
        return usual_answer(message)

    async with await Listener.connect(canned.url, settings=quick, random=random) as listener:
        await listener.join(CODE, "es")
        canned.answer = busy
        began_s = time.monotonic()
        await canned.connections[-1].close(1011)
        await until_back(listener)
        assert time.monotonic() - began_s >= 0.3


async def test_the_rules_being_broken_is_the_end(canned: CannedServer, quick: ClientSettings) -> None:
    """1008 is not tried again."""
    async with await Listener.connect(canned.url, settings=quick) as listener:
        await listener.join(CODE, "es")
        await canned.connections[-1].close(1008, "no")
        with pytest.raises(BabelcastError) as caught:
            async for _ in listener:
                pass
    assert caught.value.code is ErrorCode.UNAUTHORIZED
    assert len(canned.connections) == 1


async def test_a_paused_voice_stays_paused_on_a_new_connection(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """What was spoken in the pause is not heard, and not missed."""
    async with await Listener.connect(canned.url, settings=quick, random=random) as listener:
        await listener.join(CODE, "es")
        await listener.pause_playback()
        await canned.connections[-1].close(1011)
        await until_back(listener)
        await canned.say(make_voice(4, audio=""))
        await listener.resume_playback()
        await canned.say(make_voice(91, audio=""), ENDED)
        rest = [event async for event in listener]
    assert [type(event) for event in rest] == [Voice, SessionEnded]
    assert sum(isinstance(message, PausePlayback) for message in canned.heard) == 2


async def test_a_loss_while_moving_does_not_wait_for_the_moment(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """The old connection breaks long before the deadline: the new one is made at once."""
    async with await Listener.connect(canned.url, settings=quick, random=random) as listener:
        await listener.join(CODE, "es")
        await canned.say(draining(within_ms=3_600_000))
        await canned.connections[-1].close(1011, "gone")
        assert Reconnecting(1011, "gone") in await until_back(listener)


async def test_leaving_while_a_new_connection_is_made_leaves_nothing_behind(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """`aclose` ends the attempt, the old connection and the iteration."""
    settings = replace(quick, backoff_base_s=60, backoff_cap_s=60)
    async with await Listener.connect(canned.url, settings=settings, random=Random(1)) as listener:
        await listener.join(CODE, "es")
        await canned.say(draining())
        events = aiter(listener)
        assert isinstance(await anext(events), ConnectionRefreshRequired)
        assert isinstance(await anext(events), Reconnecting)
        await listener.aclose()
        assert [event async for event in events] == []
    await canned.connections[-1].wait_closed()
