"""One sentence as one trace, over real processes with scripted engines."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from babelcast import scripted
from babelcast.client import ClientSettings, Listener, Speaker, Voice, pace
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.protocol.server_messages import Caption, Transcript
from babelcast.wav import Sound
from tests.e2e import fleet
from tests.e2e.served import serving
from tests.e2e.spans import Seen, Spans, collecting, ways
from tests.nats_server import NatsServer

pytestmark = pytest.mark.timeout(180)

SCRIPT = 91
CLIENTS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENTS_SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"00-{CLIENTS_TRACE}-{CLIENTS_SPAN}-01"
QUICK = ClientSettings(heartbeat_interval_s=1, silence_timeout_s=2, backoff_cap_s=1)

SAID = "speaker.utterance"
RECOGNISED = f"{SAID} > transcription"
SEGMENT = f"{RECOGNISED} > segment"
LOGGED = f"{SEGMENT} > publish transcript"
TRANSLATED = f"{SEGMENT} > translate es"
SHOWN = f"{TRANSLATED} > publish caption"
READ = f"{SHOWN} > deliver caption"
SPOKEN = f"{TRANSLATED} > speak es"
VOICED = f"{SPOKEN} > publish audio"
HEARD = f"{VOICED} > deliver audio"
TREE: Mapping[str, str] = {
    SAID: "gateway",
    RECOGNISED: "transcription_svc",
    SEGMENT: "gateway",
    LOGGED: "gateway",
    TRANSLATED: "translation_svc",
    f"{TRANSLATED} > engine scripted": "translation_svc",
    SHOWN: "gateway",
    READ: "gateway",
    SPOKEN: "translation_svc",
    f"{SPOKEN} > voice": "translation_svc",
    VOICED: "gateway",
    HEARD: "gateway",
}
"""Every span of a sentence by its way from the root, and the service that makes it."""


@pytest.fixture
async def spans() -> AsyncIterator[Spans]:
    """A collector."""
    async with collecting() as running:
        yield running


async def typed_sentence(url: str, token: str, *, asked: str, heard: type[Caption] | type[Voice]) -> None:
    """Say one sentence in JSON, with a trace context, to one listener; wait until it was `heard`."""
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(url, additional_headers=headers) as socket, await Listener.connect(url) as listener:
        await socket.send(json.dumps({"action": "createSession", "sourceLanguage": "en"}))
        code = json.loads(await socket.recv())["sessionId"]
        await listener.join(code, "es")
        sound = scripted.speech(SCRIPT, 0) + bytes(SAMPLE_RATE_HZ)
        async for chunk in pace.paced(pace.chunks(Sound(sound, SAMPLE_RATE_HZ))):
            audio = base64.b64encode(chunk).decode()
            message = {"action": "sendAudio", "audioData": audio, "traceparent": asked}
            await socket.send(json.dumps(message))
        async with asyncio.timeout(30):
            async for event in listener:
                if isinstance(event, heard) and (not isinstance(event, Caption) or event.is_final):
                    break


def only(found: Mapping[str, list[Seen]], way: str) -> Seen:
    """The one span with this way."""
    (span,) = found[way]
    return span


async def test_a_message_is_followed_in_one_process(spans: Spans, tmp_path: Path) -> None:
    """`babelcast serve` continues the trace that a speaker's message names, at the usual sampling, and puts
    nothing into it that was said.
    """
    with serving(tmp_path / "data", options=("--engines", "scripted"), **spans.environ) as served:
        await typed_sentence(served.url, served.token, asked=TRACEPARENT, heard=Voice)
        found = ways(await spans.has(*TREE))
    assert {span.trace_id for span in spans.seen if span.name == SAID} == {CLIENTS_TRACE}
    assert only(found, SAID).parent_id == CLIENTS_SPAN
    assert TREE.keys() <= found.keys()
    assert {span.service for way in TREE for span in found[way]} == {"babelcast"}
    text = "\n".join(spans.raw)
    said = scripted.sentence(SCRIPT, 0)
    assert not any(word in text.lower() for word in said.rstrip(".").lower().split())
    assert served.token not in text
    assert "127.0.0.1" not in text


async def test_what_nobody_asks_for_is_not_traced(spans: Spans, tmp_path: Path) -> None:
    """With a ratio of nothing a session leaves no span, whatever unsampled context its messages have."""
    environ = {**spans.environ, "OTEL_TRACES_SAMPLER_ARG": "0"}
    with serving(tmp_path / "data", options=("--engines", "scripted"), **environ) as served:
        asked = TRACEPARENT.removesuffix("1") + "0"
        await typed_sentence(served.url, served.token, asked=asked, heard=Voice)
        assert served.stop() == 0
    assert spans.seen == []


async def test_a_stage_that_fails_is_marked(spans: Spans, tmp_path: Path) -> None:
    """A translation that takes too long is an error in its trace; what is shown instead is below it."""
    environ = {**spans.environ, "SCRIPTED_DELAY_SECONDS": "20", "TRANSLATION_SEGMENT_TIMEOUT_SECONDS": "1"}
    with serving(tmp_path / "data", options=("--engines", "scripted"), **environ) as served:
        await typed_sentence(served.url, served.token, asked=TRACEPARENT, heard=Caption)
        found = ways(await spans.has(READ))
    failed = only(found, TRANSLATED)
    assert failed.failed == "TimeoutError"
    assert failed.attributes["error.type"] == "TimeoutError"
    assert "babelcast.cancelled" not in failed.attributes
    assert only(found, RECOGNISED).failed == only(found, READ).failed == ""
    assert not any(way.startswith(SPOKEN) for way in found)


async def spoken(speaker: Speaker, sentences: int) -> None:
    """Say sentences at the pace of speech."""
    sound = Sound(scripted.script_speech(SCRIPT, sentences), SAMPLE_RATE_HZ)
    async for chunk in pace.paced(pace.chunks(sound)):
        await speaker.send_audio(chunk)


async def one_talk(speakers_url: str, listeners_url: str, token: str) -> str:
    """One sentence from a speaker at one gateway to a listener at another; returns the session's code."""
    async with (
        await Speaker.connect(speakers_url, token=token) as speaker,
        await Listener.connect(listeners_url) as listener,
    ):
        session = await speaker.create_session("en")
        await listener.join(session.session_id, "es")
        await spoken(speaker, 1)
        await speaker.end()
        async with asyncio.timeout(30):
            assert any([isinstance(event, Voice) async for event in listener])
        return session.session_id


@pytest.mark.parametrize("bus", ["nats", "in process"])
async def test_a_sentence_is_one_trace_over_all_processes(
    spans: Spans, mortal_nats: NatsServer, tmp_path: Path, bus: str
) -> None:
    """Each stage is a span of the process that does it, below what caused it, in the order of the clock."""
    across = bus == "nats"
    async with fleet.running(
        tmp_path,
        bus_url=mortal_nats.url if across else "",
        session_services=1,
        stations=1,
        gateways=({}, {}) if across else ({},),
        OTEL_TRACES_SAMPLER="parentbased_always_on",
        **spans.environ,
    ) as running:
        code = await one_talk(running.urls[0], running.urls[-1], running.token)
        found = ways(await spans.has(*TREE, "client.createSession", "client.joinSession"))
    assert {way: only(found, way).service for way in TREE} == dict(TREE)
    tree = [only(found, way) for way in TREE]
    assert len({span.trace_id for span in tree}) == 1
    assert {span.attributes.get("babelcast.session", code) for span in tree} == {code}
    assert all(span.failed == "" for span in tree)
    assert all(span.start_ns <= span.end_ns for span in tree)
    said, read, heard = (only(found, way) for way in (SAID, READ, HEARD))
    assert said.start_ns < read.start_ns <= heard.start_ns
    assert read.attributes["babelcast.listeners"] == "1"
    service = "babelcast.session.v1.SessionService"
    for action, method in (("createSession", "CreateSession"), ("joinSession", "JoinSession")):
        assert only(found, f"client.{action} > {service}/{method}").service == "session_svc"


async def test_a_stage_that_is_cancelled_is_marked_and_its_sentence_goes_on(
    spans: Spans, mortal_nats: NatsServer, tmp_path: Path
) -> None:
    """When a gateway dies, what was under way for it is marked as cancelled, and the gateway that takes the
    talk over has the sentence translated and delivered in the same trace.
    """
    async with fleet.running(
        tmp_path,
        bus_url=mortal_nats.url,
        session_services=1,
        stations=1,
        gateways=({}, {}),
        SCRIPTED_DELAY_SECONDS="3",
        OTEL_TRACES_SAMPLER="always_on",
        **spans.environ,
    ) as running:
        first, _ = running.of("gateway")
        async with (
            await Speaker.connect(running.urls, token=running.token, settings=QUICK) as speaker,
            await Listener.connect(running.urls[1], settings=QUICK) as listener,
        ):
            assert str(first.port) in speaker.url
            session = await speaker.create_session("en")
            await listener.join(session.session_id, "es")
            async with asyncio.timeout(90), asyncio.TaskGroup() as group:
                group.create_task(spoken(speaker, 6))
                async for event in speaker:
                    if isinstance(event, Transcript) and event.is_final:
                        break
                await asyncio.sleep(0.5)
                await first.kill()
                async for event in listener:
                    if isinstance(event, Caption) and event.is_final:
                        break
        seen = await spans.until(lambda seen: any(span.label == "deliver caption" for span in seen))
    stopped = [span for span in seen if span.name == "translate es" and span.failed]
    assert {span.failed for span in stopped} == {"cancelled"}
    assert {span.attributes["babelcast.cancelled"] for span in stopped} == {"True"}
    read = next(span for span in seen if span.label == "deliver caption")
    assert read.trace_id in {span.trace_id for span in stopped}
