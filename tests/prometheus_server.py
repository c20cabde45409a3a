"""A real Prometheus that remembers what is made up: an hour up to now, and the same hour a day before."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from babelcast.telemetry import instruments
from tests.alerting import FOLDER, PROGRAMS, program_there, promtool
from tests.nats_server import free_port

READY_S: Final = 30
DAY_S, SPAN_S, STEP_S = 86_400, 3_700, 60
EACH_S: Final = 1 / 6
"""So many events a second a histogram has."""
_BOUNDS_S: Final = (*sorted({*map(float, instruments.QUICK), *map(float, instruments.LAG)}), float("inf"))
JOBS: Final = ("gateway", "session", "transcription", "translation")

Pair = tuple[float, float]


@dataclass
class Day:
    """What happened, before and now. Series have their labels, those of a target included."""

    counters: dict[str, Pair] = field(default_factory=dict)
    """What they grow by, a second."""
    gauges: dict[str, Pair] = field(default_factory=dict)
    took: dict[str, Pair] = field(default_factory=dict)
    """By histogram: what each event took, s."""
    untold: set[str] = field(default_factory=set)
    """Metrics that nobody tells of now."""

    def lines(self, now_s: int) -> Iterator[str]:
        """OpenMetrics."""
        for series, rates in self.counters.items():
            yield from self._series(series, rates, now_s, grows=True)
        for series, values in self.gauges.items():
            yield from self._series(series, values, now_s, grows=False)
        for series, took in self.took.items():
            name, _, labels = series.rstrip("}").partition("{")
            for bound in _BOUNDS_S:
                shown = "+Inf" if bound == float("inf") else str(bound)
                before, now = (EACH_S if one <= bound else 0.0 for one in took)
                bucket = f'{name}_bucket{{{labels},le="{shown}"}}'
                yield from self._series(bucket, (before, now), now_s, grows=True)
            yield from self._series(f"{name}_count{{{labels}}}", (EACH_S, EACH_S), now_s, grows=True)
        yield "# EOF"

    def _series(self, series: str, values: Pair, now_s: int, *, grows: bool) -> Iterator[str]:
        for end_s, value in zip((now_s - DAY_S, now_s), values, strict=True):
            if end_s == now_s and any(series.startswith(name) for name in self.untold):
                continue
            for at_s in range(end_s - SPAN_S, end_s + 1, STEP_S):
                passed_s = at_s - end_s + SPAN_S
                yield f"{series} {value * passed_s if grows else value:g} {at_s}"


def place(job: str, labels: str = "") -> str:
    """The labels of a process, and others."""
    return f'{{job="babelcast-{job}",instance="{job}:9464"{"," if labels else ""}{labels}}}'


def good_day() -> Day:
    """All is well, today as yesterday."""
    day, gateway = Day(), "babelcast_gateway_"
    for job in JOBS:
        day.gauges["up" + place(job)] = (1, 1)
        day.gauges["babelcast_process_memory_bytes" + place(job)] = (2e8, 2e8)
        day.gauges["babelcast_process_memory_limit_bytes" + place(job)] = (1e9, 1e9)
        day.counters["babelcast_process_cpu_seconds_total" + place(job)] = (0.2, 0.2)
        day.took["babelcast_process_loop_lag_seconds" + place(job)] = (0.01, 0.01)
    for job in JOBS[1:]:
        method = 'method="babelcast.session.v1.SessionService/Join",code="OK"'
        day.took["babelcast_rpc_server_duration_seconds" + place(job, method)] = (0.01, 0.01)
    for name in ("audio_processing", "transcript_forwarding"):
        day.took[f"{gateway}{name}_seconds" + place("gateway")] = (0.01, 0.01)
    for kind in ("caption", "voice"):
        labels = f'kind="{kind}",language="es"'
        day.took[f"{gateway}end_to_end_seconds" + place("gateway", labels)] = (1.2, 1.2)
    day.took[f"{gateway}control_seconds" + place("gateway", 'action="createSession"')] = (0.01, 0.01)
    day.took["babelcast_store_duration_seconds" + place("session", 'operation="join"')] = (0.01, 0.01)
    for name, job, rate in (
        ("gateway_audio_chunks_total", "gateway", 10),
        ("gateway_sessions_created_total", "gateway", 0.01),
        ("gateway_audio_refused_total", "gateway", 0),
        ("bus_unsent_total", "gateway", 0),
        ("archive_unsent_total", "gateway", 0),
        ("transcription_dynamics_failures_total", "transcription", 0),
        ("gateway_connection_timeouts_total", "gateway", 0),
        ("store_throttled_total", "session", 0),
        ("translation_failures_total", "translation", 0),
    ):
        day.counters[f"babelcast_{name}" + place(job)] = (rate, rate)
    for name, labels, rate in (
        ("http_responses_total", 'class="2xx"', 1),
        ("http_responses_total", 'class="5xx"', 0),
        ("connections_closed_total", 'code="1000"', 0.5),
        ("joins_total", 'outcome="ok"', 0.1),
        ("transcripts_forwarded_total", 'kind="final"', 0.2),
        ("audio_lost_seconds_total", 'cause="backlog"', 0),
    ):
        day.counters[f"{gateway}{name}" + place("gateway", labels)] = (rate, rate)
    made = 'language="es",kind="caption"'
    day.counters["babelcast_translation_generated_total" + place("translation", made)] = (0.2, 0.2)
    for outcome in ("memory", "miss"):
        lookups = "babelcast_translation_cache_lookups_total" + place("translation", f'outcome="{outcome}"')
        day.counters[lookups] = (0.2, 0.2)
    day.gauges["babelcast_gateway_connections" + place("gateway", 'role="listener"')] = (40, 40)
    day.gauges["babelcast_transcription_streams_open" + place("transcription")] = (2, 2)
    day.gauges["babelcast_transcription_streams_limit" + place("transcription")] = (3, 3)
    return day


@contextlib.asynccontextmanager
async def remembering(day: Day, folder: Path, *, rules: bool = True) -> AsyncIterator[str]:
    """The address of a Prometheus that remembers it, and has our rules."""
    program_there("prometheus")
    text, data, config = folder / "day.txt", folder / "data", folder / "prometheus.yaml"
    text.write_text("\n".join(day.lines(int(time.time()))) + "\n")
    promtool("tsdb", "create-blocks-from", "openmetrics", text, data)
    # Rules are there to be listed: they are evaluated when the test is long over.
    named = f"rule_files: ['{FOLDER}/rules/*.yaml']\n" if rules else ""
    config.write_text(f"global: {{evaluation_interval: 1d, scrape_interval: 1d}}\n{named}")
    url = f"http://127.0.0.1:{free_port()}"
    words = (
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=30d",
        f"--web.listen-address={url.removeprefix('http://')}",
    )
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            [PROGRAMS, "prometheus", *words],
            stdout=log,
            stderr=log,
            env={**os.environ, "END_WITH_PARENT": "1"},
        )
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(READY_S):
            while not await _is_ready(session, url):
                assert process.poll() is None, (folder / "prometheus.log").read_text()
                await asyncio.sleep(0.05)  # another program's start can only be asked for
        yield url
    finally:
        process.terminate()
        process.wait()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with session.get(f"{url}/-/ready") as answer:
            return answer.status == 200
    return False
