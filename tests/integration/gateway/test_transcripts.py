"""What was said, as files over HTTP."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import aiohttp
import nats

from babelcast.archive.base import Talk as ArchivedTalk
from babelcast.archive.config import ArchiveConfig
from babelcast.archive.nats import PREFIX, STREAM, NatsArchive
from babelcast.bus.config import BusConfig
from babelcast.clock import wall_clock_ms
from tests.integration.gateway.client import CHUNK, PATIENCE_S, Client, Message
from tests.integration.gateway.fleet import fleet_of
from tests.integration.gateway.stage import Stage, Talk, eventually
from tests.nats_server import NatsServer


async def fetch(stage: Stage, path: str) -> tuple[int, str, aiohttp.ClientResponse]:
    """Status, text and headers."""
    url = f"http://127.0.0.1:{stage.gateway.port}{path}"
    stage.clock.now_s += 3.0  # files are fresh
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, await response.text(), response


def of_segment(number: int) -> Callable[[Message], bool]:
    """Whether a message is about a segment."""
    return lambda message: message["segmentId"] == str(number)


async def say(talk: Talk, listener: Client, segment: int, text: str, *, end_ms: int) -> None:
    """Have a sentence said, and wait until it was shown."""
    talk.hearing.final(segment, text, end_ms=end_ms)
    await listener.until("caption", where=of_segment(segment))


async def test_a_talk_can_be_taken_home(stage: Stage) -> None:
    """Every language and form, while the talk is on and after it, with corrections."""
    talk = await stage.talk()
    spanish = await stage.listener(talk, "es")
    await say(talk, spanish, 0, "Good morning.", end_ms=1_500)
    await say(talk, spanish, 1, "How are yo?", end_ms=3_000)
    path = f"/sessions/{talk.session_id}/transcript"
    status, text, response = await fetch(stage, f"{path}.txt")
    assert (status, text) == (200, "Good morning.\nHow are yo?\n")
    assert response.headers["Content-Disposition"] == f'attachment; filename="{talk.session_id}-en.txt"'
    assert response.headers["Cache-Control"] == "no-store"

    await talk.speaker.send(action="editTranscript", segmentId="1", text="How are you?")
    await spanish.until("caption", where=lambda m: m["text"] == "[es] How are you?")
    _, srt, response = await fetch(stage, f"{path}.srt?lang=es-MX")
    assert response.content_type == "application/x-subrip"
    assert srt.split("\r\n")[2] == "[es] Good morning."
    assert "[es] How are you?" in srt
    _, vtt, _ = await fetch(stage, f"/live/{talk.session_id}/es.vtt")
    assert vtt.startswith("WEBVTT\n")
    assert "[es] How are you?" in vtt

    await talk.speaker.ask("sessionEnded", action="endSession", sessionId=talk.session_id)
    await eventually(lambda: stage.desk.rooms.known(talk.session_id) is None)
    status, told, response = await fetch(stage, f"{path}.json?lang=es")
    assert (status, response.content_type) == (200, "application/json")
    document = json.loads(told)
    assert [segment["text"] for segment in document["segments"]] == [
        "[es] Good morning.",
        "[es] How are you?",
    ]
    assert document["segments"][0]["sourceText"] == "Good morning."
    assert document["languages"] == ["en", "es"]
    assert document["endedAt"] >= document["createdAt"]


async def test_what_is_not_there(stage: Stage) -> None:
    """Codes and languages that are not known are refused, the latter with those that are; a language that is
    listened to and has no text yet is empty.
    """
    talk = await stage.talk()
    assert (await fetch(stage, "/sessions/nobody-here-100/transcript.txt"))[0] == 404
    for path in (f"/sessions/{talk.session_id}/transcript.txt?lang=xx", f"/live/{talk.session_id}/x1.vtt"):
        status, refused, _ = await fetch(stage, path)
        assert status == 404
        assert json.loads(refused)["languages"] == ["en"]
    await stage.listener(talk, "es")
    assert (await fetch(stage, f"/sessions/{talk.session_id}/transcript.txt?lang=es"))[:2] == (200, "")
    assert (await fetch(stage, f"/sessions/{talk.session_id}/transcript.doc"))[0] == 404


async def test_codes_are_not_found_by_trying(stage: Stage) -> None:
    """An address that asks again and again is told to wait."""
    url = f"http://127.0.0.1:{stage.gateway.port}/sessions/nobody-here-100/transcript.txt"
    async with aiohttp.ClientSession() as http:
        seen = []
        for _ in range(61):
            async with http.get(url) as response:
                seen.append(response.status)
    assert seen == [404] * 60 + [429]


async def test_a_takeover_keeps_what_was_not_kept_and_nothing_twice(
    tmp_path: Path, mortal_nats: NatsServer
) -> None:
    """What the owner published before it died is kept by the next one, each text once."""
    async with fleet_of(2, tmp_path, mortal_nats) as fleet:
        talk = await fleet.talk(0)
        spanish = await fleet.listener(talk, 1, "es")
        await talk.speaker.audio(CHUNK, sequence=1)
        for segment, text in enumerate(("One.", "Two.")):
            talk.hearing.final(segment, text, end_ms=100 + segment)
            await spanish.until("caption", where=of_segment(segment))
        archive = await NatsArchive.open(
            BusConfig(bus_url=mortal_nats.url), ArchiveConfig(), clock_ms=wall_clock_ms
        )
        try:
            found = await eventually_found(archive, talk.session_id, {"en": 2, "es": 2})
            client = await nats.connect(mortal_nats.url)
            # as if the owner had died between publishing the second sentence and keeping it
            last = await client.jetstream().get_last_msg(
                STREAM, f"{PREFIX}.{talk.session_id}.{found.created_ms}-en.es"
            )
            await client.jetstream().delete_msg(STREAM, last.seq or 0)
            fleet.gateways[0].kill()
            await fleet.come_back(talk, 1)
            await eventually_found(archive, talk.session_id, {"en": 2, "es": 2})
            await talk.speaker.audio(CHUNK, sequence=2)
            hearing = await fleet.opened(talk)
            hearing.final(2, "Three.", end_ms=400)
            await spanish.until("caption", where=of_segment(2))
            await eventually_found(archive, talk.session_id, {"en": 3, "es": 3})
            info = await client.jetstream().stream_info(STREAM)
            assert info.state.messages == 6
            assert [entry.text for entry in await archive.read(found, "es")] == [
                "[es] One.",
                "[es] Two.",
                "[es] Three.",
            ]
            await client.close()
        finally:
            await archive.aclose()


async def eventually_found(archive: NatsArchive, code: str, counts: dict[str, int]) -> ArchivedTalk:
    """Wait until so many texts of each language are kept."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await archive.find(code)
            if (
                found is not None
                and {language: len(await archive.read(found.talk, language)) for language in found.languages}
                == counts
            ):
                return found.talk
            await asyncio.sleep(0.02)
