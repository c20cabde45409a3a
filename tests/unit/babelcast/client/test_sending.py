"""Sound arrives once and in order, whatever becomes of its connection."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from babelcast.client import AudioDropped, ClientSettings, Reconnected, Speaker
from babelcast.errors import BabelcastError, ErrorCode
from babelcast.protocol.client_messages import AnyClientMessage, Heartbeat, RefreshConnection, SendAudio
from babelcast.protocol.server_messages import (
    ConnectionRefreshComplete,
    ConnectionRefreshRequired,
    Error,
    ServerMessage,
)
from tests.unit.babelcast.client.canned_server import CODE, CannedServer, usual_answer

SIZE = 3_200


def piece(number: int) -> bytes:
    """100 ms that are told from others."""
    return bytes([number]) * SIZE


def spoken(canned: CannedServer) -> list[int]:
    """The pieces a gateway would have, by their chunks' numbers."""
    chunks = dict(zip(canned.numbers, canned.audio, strict=True))
    sound = b"".join(chunks[number] for number in sorted(chunks))
    return list(sound[::SIZE])


@dataclass
class Gateway:
    """Answers like a gateway that knows up to which chunk the sound has arrived."""

    last: int
    refusals: Iterator[int] = field(default_factory=lambda: iter(()))
    refuse: int | None = None

    def __call__(self, message: AnyClientMessage) -> ServerMessage | None:
        if isinstance(message, RefreshConnection):
            return ConnectionRefreshComplete(
                session_id=CODE,
                role="speaker",
                resume_token="resume-2",
                last_sequence_number=0,
                last_audio_sequence=self.last,
            )
        if isinstance(message, SendAudio) and message.sequence == self.refuse:
            self.refuse = next(self.refusals, None)
            return Error(
                code="RATE_LIMIT_EXCEEDED",
                message="Too fast.",
                correlation_id="x",
                action="sendAudio",
                details={"retryAfter": 0.01},
            )
        return usual_answer(message)


async def settle(speaker: Speaker) -> None:
    """Wait for the new connection."""
    async for event in speaker:
        if isinstance(event, Reconnected):
            return


async def test_what_did_not_arrive_is_sent_again_before_what_is_new(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """The chunks after the number that the gateway names come again, under their numbers."""
    canned.answer = Gateway(last=2)
    async with await Speaker.connect(canned.url, settings=quick, random=random) as speaker:
        await speaker.create_session("en")
        for number in range(1, 6):
            await speaker.send_audio(piece(number))
            await speaker.flush()
        await canned.until(lambda: len(canned.audio) == 5)
        await canned.connections[-1].close(1012)
        await speaker.send_audio(piece(6))
        await settle(speaker)
        await speaker.send_audio(piece(7))
        await canned.until(lambda: spoken(canned)[-1:] == [7])
    assert canned.numbers[5:8] == [3, 4, 5]
    assert canned.numbers[8:] == list(range(6, 6 + len(canned.numbers) - 8))
    assert spoken(canned) == [1, 2, 3, 4, 5, 6, 7]
    again = [message for message in canned.heard if isinstance(message, SendAudio)]
    assert [message.sequence for message in again][:3] == [3, 4, 5]


async def test_a_refused_chunk_goes_again_when_the_server_says(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """RATE_LIMIT_EXCEEDED costs time and no sound, and is no event."""
    canned.answer = Gateway(last=0, refuse=4, refusals=iter([4, 9]))
    async with await Speaker.connect(canned.url, settings=quick, random=random) as speaker:
        await speaker.create_session("en")
        for number in range(1, 13):
            await speaker.send_audio(piece(number))
            await speaker.flush()
        canned.audio.clear()
        canned.numbers.clear()
        await canned.connections[-1].close(1011)
        await settle(speaker)
        await speaker.flush()
        await speaker.end()
        events = [event async for event in speaker]
    assert spoken(canned) == list(range(1, 13))
    assert not [event for event in events if isinstance(event, Error)]


async def test_sound_that_is_not_kept_any_more_is_reported(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """A gateway that asks for more than is kept gets the rest, and the user an event."""
    canned.answer = Gateway(last=0)
    settings = replace(quick, audio_kept_s=0.2)
    async with await Speaker.connect(canned.url, settings=settings, random=random) as speaker:
        await speaker.create_session("en")
        for number in range(1, 6):
            await speaker.send_audio(piece(number))
            await speaker.flush()
        await canned.until(lambda: len(canned.audio) == 5)
        await canned.connections[-1].close(1011)
        dropped = None
        async for event in speaker:
            dropped = event if isinstance(event, AudioDropped) else dropped
            if isinstance(event, Reconnected):
                break
        await speaker.flush()
        await canned.until(lambda: len(canned.audio) > 6)
    assert dropped == AudioDropped(3 * SIZE)
    assert canned.numbers[5:] == [4, 5]


async def test_a_speaker_moves_before_its_gateway_goes(
    canned: CannedServer, quick: ClientSettings, random: Random
) -> None:
    """Sound goes on over the new connection where it was; the old one is closed after that."""
    canned.answer = Gateway(last=3)
    async with await Speaker.connect(canned.url, settings=quick, random=random) as speaker:
        await speaker.create_session("en")
        for number in range(1, 4):
            await speaker.send_audio(piece(number))
            await speaker.flush()
        await canned.until(lambda: len(canned.audio) == 3)
        old = canned.connections[-1]
        await canned.say(
            ConnectionRefreshRequired(session_id=CODE, role="speaker", refresh_by=20, reason="draining")
        )
        moved = asyncio.create_task(settle(speaker))
        for number in range(4, 30):
            await speaker.send_audio(piece(number))
            await asyncio.sleep(0)
        await moved
        await speaker.flush()
        await speaker.end()
        await old.wait_closed()
    assert spoken(canned) == list(range(1, 30))


async def test_a_refusal_without_a_number_is_told_and_slows_down(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """Which chunk it was cannot be known; from then on each is named."""
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        await speaker.create_session("en")
        await canned.say(
            Error(code="RATE_LIMIT_EXCEEDED", message="Slow.", correlation_id="x", action="sendAudio")
        )
        told = await anext(aiter(speaker))
        await speaker.send_audio(piece(1))
        await canned.until(lambda: bool(canned.audio))
    assert isinstance(told, Error)
    named = [message.sequence for message in canned.heard if isinstance(message, SendAudio)]
    assert named == [1]


async def test_short_chunks_go_several_in_one(canned: CannedServer, quick: ClientSettings) -> None:
    """More chunks than the server takes in a second become fewer, without a refusal."""
    settings = replace(quick, audio_burst=2.0, audio_rate=50.0)
    async with await Speaker.connect(canned.url, settings=settings) as speaker:
        await speaker.create_session("en")
        for number in range(100):
            await speaker.send_audio(bytes([number]) * 320)
            await asyncio.sleep(0)
        await speaker.end()
    assert b"".join(canned.audio) == b"".join(bytes([number]) * 320 for number in range(100))
    assert len(canned.audio) < 10


async def test_half_a_sample_is_refused_at_once(canned: CannedServer, quick: ClientSettings) -> None:
    """It would shift all that follows."""
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        with pytest.raises(BabelcastError) as caught:
            await speaker.send_audio(bytes(321))
    assert caught.value.code is ErrorCode.INVALID_AUDIO_FORMAT


async def test_flush_fails_when_the_connection_is_gone(canned: CannedServer, quick: ClientSettings) -> None:
    """What waits will not be sent any more."""
    async with await Speaker.connect(canned.url, settings=quick) as speaker:
        await speaker.send_audio(piece(1))
        await canned.until(lambda: bool(canned.connections))
        await canned.connections[-1].close(1008, "rules")
        with pytest.raises(BabelcastError) as caught:
            await speaker.flush()
    assert caught.value.code is ErrorCode.UNAUTHORIZED
    assert not [message for message in canned.heard if isinstance(message, Heartbeat)]
