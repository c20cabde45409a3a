"""`babelcast watch` against a real Prometheus that remembers days which are made up."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cli.watch import Ending, Line, State, Watched
from tests.nats_server import free_port
from tests.prometheus_server import Day, good_day, place, remembering

GATEWAY = "babelcast_gateway_"


async def watched(url: str, *words: str) -> tuple[int, Watched]:
    """What the command says to programs, and its exit code."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "watch", "--prometheus", url, "--json", *words),
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, msgspec.json.decode(out, type=Watched)


def named(lines: list[Line], state: State) -> set[str]:
    """The names of those in a state."""
    return {line.name for line in lines if line.state is state}


def late(day: Day) -> None:
    """Voices take more than twice as long as the day before, within the target."""
    day.took[f"{GATEWAY}end_to_end_seconds" + place("gateway", 'kind="voice",language="es"')] = (1.2, 3.5)


def faulty(day: Day) -> None:
    """One request in eleven is answered with 5xx."""
    day.counters[f"{GATEWAY}http_responses_total" + place("gateway", 'class="5xx"')] = (0, 0.15)


def broken_service(day: Day) -> None:
    """One call in five to the session service ends by a fault of its own."""
    labels = 'method="babelcast.session.v1.SessionService/Join",code="INTERNAL"'
    day.counters["babelcast_rpc_server_duration_seconds_count" + place("session", labels)] = (0, 0.04)


def down(day: Day) -> None:
    """Nobody answers for translation."""
    day.gauges["up" + place("translation")] = (1, 0)


def losing(day: Day) -> None:
    """A second of speech a minute is lost."""
    day.counters[f"{GATEWAY}audio_lost_seconds_total" + place("gateway", 'cause="backlog"')] = (0, 1 / 60)


def paging(day: Day) -> None:
    """A critical alarm fires."""
    labels = '{alertname="StoreFailures",alertstate="firing",severity="page",area="store"}'
    day.gauges["ALERTS" + labels] = (0, 1)


@pytest.mark.parametrize(
    ("change", "trigger"),
    [
        (late, "latency"),
        (faulty, "error rate at the edge"),
        (broken_service, "error rate of a service"),
        (down, "outage"),
        (losing, "audio lost"),
        (paging, "critical alarm"),
    ],
)
async def test_what_calls_for_a_rollback(change: Callable[[Day], None], trigger: str, tmp_path: Path) -> None:
    """Each trigger by itself, named, with exit code 1."""
    day = good_day()
    change(day)
    async with remembering(day, tmp_path) as url:
        code, found = await watched(url)
    assert code == Ending.ROLL_BACK
    assert named(found.triggers, State.ROLL_BACK) == {trigger}
    assert found.verdict == "roll back"


async def test_a_good_day_ends_with_0(tmp_path: Path) -> None:
    """Every figure has a value now and before, but for DynamoDB, which is not there."""
    async with remembering(good_day(), tmp_path) as url:
        code, found = await watched(url)
    assert named(found.figures, State.QUIET) == {"DynamoDBConsumedCapacity"}
    assert [line for line in found.figures if line.state not in {State.OK, State.QUIET}] == []
    assert {line.name for line in found.figures if line.before is None} == {"DynamoDBConsumedCapacity"}
    [voice] = [line for line in found.figures if line.name == "EndToEndLatency p95" and line.of == "voice"]
    assert voice.value == pytest.approx(1.475, abs=0.03), "of the bucket from 1 to 1.5 s"
    assert (code, found.verdict, found.alarms_missing, found.error) == (Ending.WELL, "well", [], "")


async def test_a_missed_target_is_no_reason_to_roll_back(tmp_path: Path) -> None:
    """Memory above 90 %, half of the listeners, and 2 % of refused audio: told, with a code of their own."""
    day = good_day()
    day.gauges["babelcast_process_memory_bytes" + place("session")] = (2e8, 9.5e8)
    day.counters[f"{GATEWAY}joins_total" + place("gateway", 'outcome="ok"')] = (0.1, 0.04)
    day.counters[f"{GATEWAY}audio_refused_total" + place("gateway")] = (0, 0.2)
    async with remembering(day, tmp_path) as url:
        code, found = await watched(url)
    assert code == Ending.MISSED
    assert named(found.figures, State.MISSED) == {
        "LambdaMemoryUsed",
        "ListenersJoined",
        "AudioValidationErrors",
    }


async def test_what_nobody_tells_is_not_well(tmp_path: Path) -> None:
    """People talk, yet there is no latency of their audio, and there are no rules: exit code 2."""
    day = good_day()
    day.untold = {f"{GATEWAY}audio_processing"}
    async with remembering(day, tmp_path, rules=False) as url:
        code, found = await watched(url)
    assert code == Ending.UNKNOWN
    assert named(found.figures, State.MISSING) == {f"AudioProcessingLatency p{each}" for each in (50, 95, 99)}
    assert len(found.alarms_missing) == 9


async def test_silence_is_told_as_such(tmp_path: Path) -> None:
    """Where nobody talks there are no latencies, which is no fault; that there used to be talks is told."""
    day = good_day()
    day.counters |= {name: (rates[0], 0) for name, rates in day.counters.items() if "cpu" not in name}
    day.untold = {f"{GATEWAY}{name}_seconds" for name in ("audio_processing", "end_to_end", "control")}
    async with remembering(day, tmp_path) as url:
        code, found = await watched(url)
    assert code == Ending.MISSED
    assert {"AudioProcessingLatency p95", "EndToEndLatency p95"} <= named(found.figures, State.QUIET)
    assert {line.kind for line in found.figures if line.state is State.MISSED} == {"throughput"}


async def test_an_empty_prometheus_knows_nothing(tmp_path: Path) -> None:
    """One that scrapes something else must not look like a good day."""
    day = Day(gauges={'up{job="node"}': (1, 1)})
    async with remembering(day, tmp_path) as url:
        code, found = await watched(url, "--over", "30m")
    assert code == Ending.UNKNOWN
    assert {"audio lost", "outage"} <= named(found.triggers, State.MISSING)


async def test_a_prometheus_that_is_not_there() -> None:
    """One line says so, with exit code 2."""
    code, found = await watched(f"http://127.0.0.1:{free_port()}")
    assert code == Ending.UNKNOWN
    assert found.error
    assert found.verdict == "unknown"
