"""The Python client and a real gateway, with a wire between them that is cut, silenced and mended."""

import asyncio
from dataclasses import dataclass, field
from random import Random

import pytest

from babelcast.client import ClientSettings, Event, Listener, Reconnected, Reconnecting, Speaker, Voice
from babelcast.client.pace import CHUNK_S
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.protocol.server_messages import Caption, Error
from tests.integration.gateway.stage import Stage, eventually
from tests.wire_cut import CuttableWire

SAMPLES = round(CHUNK_S * SAMPLE_RATE_HZ)
QUICK = ClientSettings(
    heartbeat_interval_s=0.3,
    silence_timeout_s=0.3,
    close_timeout_s=0.1,
    backoff_base_s=0.02,
    backoff_cap_s=0.05,
    resume_window_s=8,
    request_timeout_s=5,
)


def piece(number: int) -> bytes:
    """100 ms that are told from others, too faint to be taken for a wrong format."""
    return number.to_bytes(2, "little") * SAMPLES


def pieces(numbers: range) -> bytes:
    """Several in a row."""
    return b"".join(map(piece, numbers))


@dataclass(slots=True)
class Seen:
    """What an iterator yielded."""

    events: list[Event] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, source: Speaker | Listener) -> None:
        """Until it ends."""
        async for event in source:
            self.events.append(event)
            self.changed.set()

    async def until(self, kind: type[Event], *, count: int = 1) -> None:
        """Wait for so many of a kind."""
        async with asyncio.timeout(8):
            while sum(isinstance(event, kind) for event in self.events) < count:
                self.changed.clear()
                await self.changed.wait()

    @property
    def voices(self) -> list[int]:
        """The numbers of the voice messages."""
        return [event.message.sequence_number for event in self.events if isinstance(event, Voice)]

    @property
    def captions(self) -> list[str]:
        """The final captions' segments."""
        return [event.segment_id for event in self.events if isinstance(event, Caption) and event.is_final]


async def say(speaker: Speaker, numbers: range) -> None:
    """Give the speaker's client some sound."""
    for number in numbers:
        await speaker.send_audio(piece(number))
        await asyncio.sleep(0)


def ask_to_move(stage: Stage) -> None:
    """Every client is asked to make another connection."""
    for connection in tuple(stage.gateway._connections):
        refresh_by_ms = stage.desk.clock_ms() + 100
        connection._ask_to_refresh(refresh_by_ms=refresh_by_ms, reason="maxDuration")


@pytest.mark.parametrize("fault", ["cut", "mute", "move"])
async def test_all_that_is_spoken_is_heard_once_and_in_order(stage: Stage, fault: str) -> None:
    """What was under way when the wire broke is sent again, what came twice is dropped."""
    async with CuttableWire.to(stage.gateway.port) as wire, asyncio.TaskGroup() as group:
        url, token = f"ws://127.0.0.1:{wire.port}", stage.token()
        async with await Speaker.connect(url, token=token, settings=QUICK, random=Random(3)) as speaker:
            await speaker.create_session("en")
            hearing = await stage.transcription.opened()
            seen = Seen()
            group.create_task(seen.follow(speaker))
            await say(speaker, range(1, 10))
            if fault == "move":
                ask_to_move(stage)
            else:
                await hearing.heard(len(piece(1)))
                wire.cut() if fault == "cut" else wire.mute()
            await say(speaker, range(10, 14))
            await seen.until(Reconnecting)
            await say(speaker, range(14, 18))
            wire.mend()
            await seen.until(Reconnected)
            await say(speaker, range(18, 24))
            heard = await hearing.heard(len(pieces(range(1, 24))))
            await speaker.end()
    assert heard == pieces(range(1, 24))
    assert not [event for event in seen.events if isinstance(event, Error)]
    assert len(stage.transcription.streams) == 1


@pytest.mark.parametrize("fault", ["cut", "mute", "move"])
@pytest.mark.parametrize("audio", ["pcm", "none"])
async def test_a_listener_gets_every_sentence_once(stage: Stage, fault: str, audio: str) -> None:
    """Those that were said while the connection was away too, with or without voice."""
    talk = await stage.talk()
    async with CuttableWire.to(stage.gateway.port) as wire, asyncio.TaskGroup() as group:
        url = f"ws://127.0.0.1:{wire.port}"
        async with await Listener.connect(url, settings=QUICK, random=Random(3)) as listener:
            await listener.join(talk.session_id, "es", audio="pcm" if audio == "pcm" else "none")
            await eventually(lambda: stage.room(talk).session.audience.languages.get("es", 0) > 0)
            seen = Seen()
            group.create_task(seen.follow(listener))
            for segment in (0, 1):
                talk.hearing.final(segment, f"Sentence {segment}.")
            await seen.until(Caption, count=2)
            if fault == "move":
                ask_to_move(stage)
            else:
                wire.cut() if fault == "cut" else wire.mute()
            for segment in (2, 3):
                talk.hearing.final(segment, f"Sentence {segment}.")
            await seen.until(Reconnecting)
            wire.mend()
            await seen.until(Reconnected)
            for segment in (4, 5):
                talk.hearing.final(segment, f"Sentence {segment}.")
            await seen.until(Caption, count=6)
            if audio == "pcm":
                await seen.until(Voice, count=6)
            await talk.speaker.ask("sessionEnded", action="endSession")
    assert seen.captions == [str(segment) for segment in range(6)]
    assert seen.voices == (list(range(1, 7)) if audio == "pcm" else [])
