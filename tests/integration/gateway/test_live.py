"""Continuous streams for any player, decoded as players do."""

import asyncio
import contextlib
import io
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import av
import numpy as np
import pytest

from babelcast.bus.base import Topic
from babelcast.errors import ServiceUnavailable
from gateway import live
from gateway.live import LiveStream
from gateway.live_ogg import RATE_HZ, pages
from tests.integration.gateway.stage import Stage, Talk, eventually
from translation_svc.opus import encode
from translation_svc.segments import Clip

FIRST_HZ, SECOND_HZ = 440, 1_000


def tone(hz: float) -> bytes:
    """A second of a tone, as voices come."""
    at = np.arange(24_000) / 24_000
    return encode(Clip((8_000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes(), 24_000))


def decoded(ogg: bytes) -> np.ndarray:
    """The sound at 48 kHz."""
    with av.open(io.BytesIO(ogg), mode="r") as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float64)


def loudness(sound: np.ndarray, from_s: float, to_s: float) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(sound[round(from_s * RATE_HZ) : round(to_s * RATE_HZ)] ** 2)))


def pitch(sound: np.ndarray, from_s: float, to_s: float) -> float:
    """The loudest tone, Hz."""
    part = sound[round(from_s * RATE_HZ) : round(to_s * RATE_HZ)]
    return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part))))) * RATE_HZ / len(part))


@dataclass
class Player:
    """Takes a stream until it ends."""

    response: aiohttp.ClientResponse
    received: bytearray = field(default_factory=bytearray)
    task: "asyncio.Task[None] | None" = None

    async def _read(self) -> None:
        async for part in self.response.content.iter_any():
            self.received += part

    async def ended(self) -> bytes:
        """All of it."""
        assert self.task is not None
        async with asyncio.timeout(20):
            await self.task
        return bytes(self.received)


@contextlib.asynccontextmanager
async def playing(stage: Stage, talk: Talk, language: str = "es") -> AsyncIterator[Player]:
    """A player with its first bytes."""
    async with aiohttp.ClientSession() as http, http.get(url(stage, talk, language)) as response:
        assert response.status == 200
        player = Player(response)
        player.task = asyncio.create_task(player._read())
        try:
            await eventually(lambda: bool(player.received))
            yield player
        finally:
            player.task.cancel()
            await asyncio.wait([player.task])


def url(stage: Stage, talk: Talk, language: str) -> str:
    """Where a language is streamed."""
    return f"http://127.0.0.1:{stage.gateway.port}/live/{talk.session_id}/{language}.ogg"


def maker(stage: Stage, talk: Talk, language: str = "es") -> LiveStream:
    """Who makes it."""
    return stage.gateway._live._streams[Topic(talk.session_id, language)]


async def pass_time(stage: Stage, stream: LiveStream, seconds: float) -> None:
    """Let time pass for a stream, and wait until it has sent what was due."""
    stage.clock.now_s += seconds
    programme = stream._programme
    until = (stage.clock.now_s - programme._start_s) * RATE_HZ
    await eventually(lambda: programme._position >= until - 1)


async def say(stage: Stage, talk: Talk, stream: LiveStream, segment: int, hz: float) -> None:
    """Have a sentence spoken, and wait until the stream has it."""
    stage.translation.script.opus = tone(hz)
    before = stream._last_sequence
    talk.hearing.final(segment, f"Sentence {segment}.")
    await eventually(lambda: stream._last_sequence > before)


async def known(stage: Stage, talk: Talk, language: str = "es", count: int = 1) -> None:
    """Wait until the owner knows of its listeners."""
    await eventually(lambda: stage.room(talk).session.audience.languages.get(language, 0) == count)


async def test_voices_are_heard_at_their_places(stage: Stage) -> None:
    """The stream decodes from end to end: silence for as long as nothing is said, each voice where it came,
    and the end with the session's. Who comes later hears the rest.
    """
    talk = await stage.talk()
    async with playing(stage, talk) as player:
        await known(stage, talk)
        stream = maker(stage, talk)
        await pass_time(stage, stream, 2.0)
        await say(stage, talk, stream, 0, FIRST_HZ)
        await pass_time(stage, stream, 3.0)
        async with playing(stage, talk) as late:
            assert maker(stage, talk) is stream
            await known(stage, talk)  # still one seat
            await say(stage, talk, stream, 1, SECOND_HZ)
            await pass_time(stage, stream, 3.0)
            await talk.speaker.ask("sessionEnded", action="endSession", sessionId=talk.session_id)
            whole, rest = await player.ended(), await late.ended()
    sound = decoded(whole)
    assert abs(len(sound) / RATE_HZ - 8.0) < 0.1
    assert loudness(sound, 0.0, 1.95) < 0.001
    assert abs(pitch(sound, 2.1, 2.9) - FIRST_HZ) < 5
    assert loudness(sound, 2.1, 2.9) > 0.1
    assert loudness(sound, 3.2, 4.95) < 0.001
    assert abs(pitch(sound, 5.1, 5.9) - SECOND_HZ) < 5
    assert loudness(sound, 6.2, 7.9) < 0.001
    late_sound = decoded(rest)
    assert abs(pitch(late_sound, 0.1, 0.9) - SECOND_HZ) < 5
    for ogg in (whole, rest):
        found = list(pages(ogg))
        assert [page.number - found[0].number for page in found] == list(range(len(found)))
        granules = [page.granule for page in found[2:]]
        assert granules == sorted(granules)
        assert (found[0].flags, found[-1].flags) == (2, 4)
        assert not any(page.flags for page in found[1:-1])
    await eventually(lambda: not stage.gateway._live._streams)


async def test_what_was_said_last_is_heard_to_its_end(stage: Stage) -> None:
    """A session that ends while a voice is being sent does not cut it off."""
    talk = await stage.talk()
    async with playing(stage, talk) as player:
        await known(stage, talk)
        stream = maker(stage, talk)
        for segment in range(3):
            await say(stage, talk, stream, segment, FIRST_HZ)
        await talk.speaker.ask("sessionEnded", action="endSession", sessionId=talk.session_id)
        await eventually(lambda: stream._ended)
        await pass_time(stage, stream, 2.9)
        sound = decoded(await player.ended())
    assert len(sound) / RATE_HZ > 3.0
    assert abs(pitch(sound, 2.2, 2.9) - FIRST_HZ) < 5


async def test_the_seat_goes_with_the_last_player(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A player that comes back soon finds the same stream; without any the seat is given up."""
    talk = await stage.talk()
    monkeypatch.setattr(live, "LINGER_S", 1_000.0)
    async with playing(stage, talk):
        await known(stage, talk)
        stream = maker(stage, talk)

    def is_alone() -> bool:
        stage.clock.now_s += 0.05  # a player's absence shows when it is sent something
        return stream._alone_since_s is not None

    await eventually(is_alone)
    stage.clock.now_s += 900.0
    async with playing(stage, talk):
        assert maker(stage, talk) is stream
        await eventually(lambda: stream._alone_since_s is None)
        stage.clock.now_s += 1_100.0
    await eventually(is_alone)
    stage.clock.now_s += 1_100.0
    await known(stage, talk, count=0)
    await eventually(lambda: not stage.gateway._live._streams)


async def test_a_player_that_takes_nothing_is_cut_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection goes; the others hear on."""
    monkeypatch.setattr(live, "PAGE_S", 0.01)
    monkeypatch.setattr(live, "MAX_PAGES", 30)
    talk = await stage.talk()
    async with playing(stage, talk) as other:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            slow.connect(("127.0.0.1", stage.gateway.port))
            slow.sendall(f"GET /live/{talk.session_id}/es.ogg HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            stream = maker(stage, talk)
            await eventually(lambda: len(stream.players) == 2)

            def is_cut() -> bool:
                if stream._programme.waiting_s < 1:
                    stream._programme.add([b"\xf8" + bytes(1_200)] * 50)
                    stage.clock.now_s += 1.0
                return len(stream.players) == 1

            await eventually(is_cut)
        before = len(other.received)
        stage.clock.now_s += 1.0
        await eventually(lambda: len(other.received) > before)


async def test_refusals(stage: Stage) -> None:
    """No such talk, no such language but those, and the language spoken, which has no voice."""
    talk = await stage.talk()
    async with aiohttp.ClientSession() as http:
        async with http.get(url(stage, talk, "en")) as spoken:
            assert spoken.status == 404
            assert "no voice" in await spoken.text()
        for tag in ("de", "12"):
            async with http.get(url(stage, talk, tag)) as unknown:
                assert unknown.status == 404
                assert (await unknown.json())["languages"] == ["es", "fr", "pt"]
        nowhere = f"http://127.0.0.1:{stage.gateway.port}/live/nobody-here-100/es.ogg"
        async with http.get(nowhere) as missing:
            assert missing.status == 404
        async with http.head(url(stage, talk, "es-MX")) as head:
            assert (head.status, head.content_type) == (200, "audio/ogg")
    assert not stage.gateway._live._streams


async def test_a_full_house(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above so many players, and when no seat can be had, one is told to come again."""
    talk = await stage.talk()
    async with aiohttp.ClientSession() as http:
        monkeypatch.setattr(live, "MAX_PLAYERS", 0)
        async with http.get(url(stage, talk, "es")) as full:
            assert (full.status, full.headers["Retry-After"]) == (503, "5")
        monkeypatch.undo()

        async def out_of_reach(topic: Topic) -> None:
            raise ServiceUnavailable("The bus is out of reach.")

        monkeypatch.setattr(stage.bus, "subscribe", out_of_reach)
        async with http.get(url(stage, talk, "es")) as away:
            assert away.status == 503
    await known(stage, talk, count=0)


async def test_the_gateway_ends_its_streams(stage: Stage) -> None:
    """When it stops, or its seats are gone, players get the end of the stream, not a cut."""
    talk = await stage.talk()
    async with playing(stage, talk) as player:
        stage.gateway.send_away()
        ogg = await player.ended()
    assert list(pages(ogg))[-1].flags == 4


async def test_a_stream_that_falls_behind_starts_again(stage: Stage) -> None:
    """What is said until it follows the bus again is not missed, and nothing is heard twice."""
    talk = await stage.talk()
    listener = await stage.listener(talk, "es")
    talk.hearing.final(0, "Before anybody played it.")
    await listener.until("translatedAudio")
    async with playing(stage, talk):
        await known(stage, talk, count=2)
        stream = maker(stage, talk)
        for subscription in tuple(stage.bus._channels[stream._topic].ring.subscriptions):
            subscription._slow = True
            subscription.close()
        await say(stage, talk, stream, 1, FIRST_HZ)
        await say(stage, talk, stream, 2, FIRST_HZ)
        programme = stream._programme
        assert 1.9 < programme.waiting_s + programme._position / RATE_HZ < 2.2


async def test_a_voice_that_is_no_opus_is_left_out(stage: Stage) -> None:
    """The stream goes on without it."""
    talk = await stage.talk()
    async with playing(stage, talk):
        await known(stage, talk)
        stream = maker(stage, talk)
        stage.translation.script.opus = b"OggS-opus"
        talk.hearing.final(0, "One.")
        await eventually(lambda: stream._last_sequence == 1)
        assert stream._programme.waiting_s == 0
        await say(stage, talk, stream, 1, FIRST_HZ)
        assert stream._programme.waiting_s > 0
