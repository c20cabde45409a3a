"""What processes that serve a talk tell of it, as Prometheus reads it."""

import asyncio
import json
import subprocess
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from babelcast import scripted
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.client import BabelcastError, Listener, Speaker, Transcript, Voice, pace
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.protocol.server_messages import SessionEnded
from babelcast.telemetry import instruments as on
from babelcast.telemetry.catalogue import CATALOGUE, Kind
from babelcast.wav import Sound
from tests.e2e.fleet import Fleet, running
from tests.e2e.served import serving
from tests.integration.gateway.client import Client
from tests.nats_server import NatsServer, free_port

pytestmark = pytest.mark.timeout(180)

PROGRAMS = Path(__file__).parents[2] / "deploy" / "dev" / "prometheus"
SCRIPT, SENTENCES = 45, 3
EVERYWHERE = {
    "babelcast_process_memory_bytes",
    "babelcast_process_memory_limit_bytes",
    "babelcast_process_cpu_seconds_total",
    "babelcast_process_loop_lag_seconds_count",
}
TOLD = {
    "gateway": {
        "babelcast_gateway_audio_processing_seconds_count",
        "babelcast_gateway_transcript_forwarding_seconds_count",
        'babelcast_gateway_end_to_end_seconds_count{kind="caption",language="es"}',
        'babelcast_gateway_end_to_end_seconds_count{kind="voice",language="es"}',
        'babelcast_gateway_end_to_end_seconds_count{kind="caption",language="en"}',
        'babelcast_gateway_voice_lag_seconds_count{language="es"}',
        'babelcast_gateway_control_seconds_count{action="createSession"}',
        'babelcast_gateway_control_seconds_count{action="joinSession"}',
        'babelcast_gateway_control_seconds_count{action="controlBroadcast"}',
        'babelcast_gateway_control_seconds_count{action="getSessionStatus"}',
        'babelcast_gateway_errors_total{code="SESSION_NOT_FOUND"}',
        'babelcast_gateway_audio_refused_total{code="INVALID_AUDIO_FORMAT"}',
        'babelcast_gateway_http_responses_total{class="1xx"}',
        'babelcast_gateway_http_responses_total{class="2xx"}',
        'babelcast_gateway_http_responses_total{class="4xx"}',
        'babelcast_gateway_connections_closed_total{code="1000"}',
        "babelcast_gateway_sessions_created_total",
        'babelcast_gateway_joins_total{outcome="ok"}',
        'babelcast_gateway_joins_total{outcome="SESSION_NOT_FOUND"}',
        'babelcast_gateway_listeners_joined_total{language="es"}',
        "babelcast_gateway_audio_chunks_total",
        'babelcast_gateway_transcripts_forwarded_total{kind="partial"}',
        'babelcast_gateway_transcripts_forwarded_total{kind="final"}',
        "babelcast_gateway_listened_seconds_total",
        'babelcast_gateway_connections{role="speaker"}',
        'babelcast_gateway_connections{role="listener"}',
        "babelcast_gateway_sessions",
        'babelcast_rpc_client_duration_seconds_count{code="OK",method="SessionService/JoinSession"}',
        'babelcast_rpc_client_duration_seconds_count{code="NOT_FOUND",method="SessionService/GetSession"}',
    },
    "session_svc": {
        'babelcast_rpc_server_duration_seconds_count{code="OK",method="SessionService/JoinSession"}',
        'babelcast_rpc_server_duration_seconds_count{code="NOT_FOUND",method="SessionService/GetSession"}',
        'babelcast_store_duration_seconds_count{operation="create"}',
        'babelcast_store_duration_seconds_count{operation="join"}',
    },
    "transcription_svc": {
        'babelcast_rpc_server_duration_seconds_count{code="OK",method="TranscriptionService/GetCapabilities"}',
        "babelcast_transcription_final_delay_seconds_count",
        "babelcast_transcription_streams_open",
        "babelcast_transcription_streams_limit",
    },
    "translation_svc": {
        'babelcast_rpc_server_duration_seconds_count{code="OK",method="TranslationService/ListLanguages"}',
        'babelcast_translation_duration_seconds_count{engine="scripted",language="es"}',
        'babelcast_translation_speech_duration_seconds_count{engine="scripted"}',
        'babelcast_translation_generated_total{kind="caption",language="es"}',
        'babelcast_translation_generated_total{kind="voice",language="es"}',
        'babelcast_translation_cache_lookups_total{outcome="miss"}',
        'babelcast_translation_voice_texts_total{language="es",outcome="spoken"}',
    },
}
"""What is above zero while a talk is on, by the service that tells it."""


OPEN = {on.LANGUAGE, on.ENGINE, on.TABLE}
"""Labels that are not known before they are used."""


async def scraped(port: int) -> str:
    """A process' page of metrics."""
    url = f"http://127.0.0.1:{port}/metrics"
    with await asyncio.to_thread(urllib.request.urlopen, url, timeout=10) as answer:
        page: bytes = answer.read()
    return page.decode()


def values(page: str) -> Mapping[str, float]:
    """Series, as they are written with their labels in order, and their values."""
    return {
        _written(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def _written(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name


def metrics_port(log: Path) -> int:
    """Where a process says that its metrics are."""
    for line in log.read_text().splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("message") == "metrics can be scraped":
            return int(said["port"])
    raise AssertionError(log.read_text())


def lint(pages: Iterable[str]) -> None:
    """Have Prometheus' own program look at pages of metrics."""
    prepared = subprocess.run([PROGRAMS, "prepare"], capture_output=True, text=True, check=False)
    if prepared.returncode:
        pytest.skip(prepared.stderr)
    for page in pages:
        done = subprocess.run(
            [PROGRAMS, "promtool", "check", "metrics"],
            input=page,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


async def spoken(speaker: Speaker) -> None:
    """Some sentences, and a pause."""
    sound = Sound(scripted.script_speech(SCRIPT, SENTENCES), SAMPLE_RATE_HZ)
    async for chunk in pace.paced(pace.chunks(sound)):
        await speaker.send_audio(chunk)
    await speaker.control("pause")
    await speaker.control("resume")


async def voices(listener: Listener, count: int) -> None:
    """Wait for so many voices, or, in the language spoken, texts."""
    heard = 0
    async for event in listener:
        heard += isinstance(event, Voice) or (isinstance(event, Transcript) and event.is_final)
        if heard >= count:
            return
        assert not isinstance(event, SessionEnded)


async def mishaps(port: int, token: str) -> None:
    """What goes wrong every day: a wrong code, a wrong page, audio that is none."""
    async with await Listener.connect(f"ws://127.0.0.1:{port}") as stranger:
        with pytest.raises(BabelcastError):
            await stranger.join("golden-eagle-999", "es")
    for path in ("/", "/healthz", "/nowhere"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        await reader.read()
        writer.close()
    client = await Client.open(f"ws://127.0.0.1:{port}/", token=token)
    try:
        created = await client.ask("sessionCreated", action="createSession", sourceLanguage="en")
        refused = await client.refused(
            action="sendAudio", sessionId=created["sessionId"], audioData="no base64"
        )
        assert refused["code"] == "INVALID_AUDIO_FORMAT"
    finally:
        await client.close()


async def told(fleet: Fleet) -> Mapping[str, str]:
    """The pages of all services, once everything is there: some of it comes once a second."""
    pages: dict[str, str] = {}
    missing: list[str] = []
    try:
        async with asyncio.timeout(20):
            while not pages or missing:
                await asyncio.sleep(0.2)
                pages = {member.module: await scraped(metrics_port(member.log)) for member in fleet.members}
                missing = [
                    f"{service}: {series}"
                    for service, page in pages.items()
                    for series in TOLD[service] | EVERYWHERE
                    if not values(page).get(series, 0) > 0
                ]
    except TimeoutError:
        pytest.fail("\n".join(missing))
    return pages


async def test_a_talk_is_told_by_all_four_services(mortal_nats: NatsServer, tmp_path: Path) -> None:
    """Every instrument of a talk's course shows what happened, cleanly, without saying whose talk it was."""
    async with (
        running(
            tmp_path,
            bus_url=mortal_nats.url,
            stations=1,
            gateways=({},),
            METRICS_BIND="127.0.0.1:0",
        ) as fleet,
        await Speaker.connect(fleet.urls, token=fleet.token) as speaker,
    ):
        session = await speaker.create_session("en")
        listeners = [await Listener.connect(fleet.urls) for _ in range(2)]
        for listener, language in zip(listeners, ("es", "en"), strict=True):
            await listener.join(session.session_id, language)
        another = LocalIssuer.open(tmp_path).mint("another")
        await mishaps(fleet.of("gateway")[0].port, another)
        async with asyncio.TaskGroup() as group:
            group.create_task(spoken(speaker))
            for listener in listeners:
                group.create_task(voices(listener, SENTENCES))
        await speaker.status()
        pages = await told(fleet)
        for listener in listeners:
            await listener.aclose()
    lint(pages.values())
    assert not any(session.session_id in page for page in pages.values())
    known = {described.exported: described for described in CATALOGUE}
    for page in pages.values():
        for family in text_string_to_metric_families(page):
            if family.name != "target_info":
                described = known[f"{family.name}_total" if family.type == "counter" else family.name]
                assert family.type == described.kind.value
                for sample in family.samples:
                    assert set(sample.labels) <= {*described.attributes, "le"}, sample


async def test_a_fresh_server_has_its_errors_at_zero(tmp_path: Path) -> None:
    """Whoever opens the page of a server that nobody has used sees that nothing has failed, rather than
    nothing.
    """
    port = free_port()
    options = ("--engines", "scripted")
    with serving(tmp_path / "data", options=options, METRICS_BIND=f"127.0.0.1:{port}"):
        page = await scraped(port)
    lint([page])
    found = values(page)
    counters = {
        described.exported
        for described in CATALOGUE
        if described.kind is Kind.COUNTER
        and not {on.LANGUAGE, on.ENGINE, on.TABLE} & set(described.attributes)
    }
    shown = {series.partition("{")[0] for series in found}
    assert counters <= shown, counters - shown
    for failure in (
        'babelcast_gateway_stream_failures_total{code="SERVICE_UNAVAILABLE",phase="start",station="transcription"}',
        'babelcast_gateway_errors_total{code="INTERNAL_ERROR"}',
        'babelcast_gateway_http_responses_total{class="5xx"}',
        'babelcast_gateway_joins_total{outcome="SERVICE_UNAVAILABLE"}',
        'babelcast_gateway_connection_timeouts_total{cause="heartbeat"}',
        'babelcast_translation_failures_total{code="SERVICE_UNAVAILABLE",component="translation",engine=""}',
        'babelcast_store_throttled_total{operation="TransactWriteItems"}',
        'babelcast_store_failures_total{operation="join"}',
        "babelcast_transcription_dynamics_failures_total",
    ):
        assert found[failure] == 0, failure
