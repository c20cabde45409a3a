"""The OpenTelemetry collector's configuration, in itself and beside what services and Prometheus expect."""

from pathlib import Path

import msgspec
import pytest

from tests.alerting import FOLDER, RULES
from tests.promql import named

Components = dict[str, object]


class _Pipeline(msgspec.Struct):
    exporters: list[str]
    receivers: list[str] = []
    processors: list[str] = []


class _Service(msgspec.Struct):
    pipelines: dict[str, _Pipeline]
    extensions: list[str] = []


class Collector(msgspec.Struct):
    """What is checked of it."""

    service: _Service
    exporters: Components
    receivers: Components = {}
    processors: Components = {}
    extensions: Components = {}


class _Targets(msgspec.Struct):
    names: list[str]
    port: int


class _Scraped(msgspec.Struct):
    job_name: str
    dns_sd_configs: list[_Targets] = []


class _Prometheus(msgspec.Struct):
    scrape_configs: list[_Scraped]


def read(name: str) -> Collector:
    """One file."""
    return msgspec.yaml.decode((FOLDER / name).read_text(), type=Collector)


def with_tempo() -> Collector:
    """Both files as the collector lays the second over the first: maps are joined, lists replaced."""
    base, over = read("collector.yaml"), read("collector-tempo.yaml")
    base.exporters |= over.exporters
    for name, pipeline in over.service.pipelines.items():
        base.service.pipelines[name].exporters = pipeline.exporters
    return base


@pytest.mark.parametrize("made", [read("collector.yaml"), with_tempo()], ids=["alone", "with Tempo"])
def test_pipelines_are_made_of_what_is_there(made: Collector) -> None:
    """The collector does not start when a pipeline names what is not configured."""
    pipelines = made.service.pipelines.values()
    assert {name for one in pipelines for name in one.receivers} == set(made.receivers)
    assert {name for one in pipelines for name in one.processors} == set(made.processors)
    assert {name for one in pipelines for name in one.exporters} <= set(made.exporters)
    assert set(made.service.extensions) == set(made.extensions)


def test_memory_is_limited_before_anything_else() -> None:
    """A collector that is flooded refuses and does not die."""
    for pipeline in read("collector.yaml").service.pipelines.values():
        assert pipeline.processors[0] == "memory_limiter"


def test_metrics_and_traces_come_and_go() -> None:
    """Both signals that services send, and Tempo's file changes where traces go."""
    assert set(read("collector.yaml").service.pipelines) == {"metrics", "traces"}
    assert with_tempo().service.pipelines["traces"].exporters == ["otlp/traces"]


def test_prometheus_does_not_count_twice() -> None:
    """It scrapes services under the names that rules go by, and of the collector its own state."""
    text = Path(FOLDER / "prometheus.yaml").read_text()
    jobs = {one.job_name: one for one in msgspec.yaml.decode(text, type=_Prometheus).scrape_configs}
    ours = {name: job for name, job in jobs.items() if name.startswith("babelcast-")}
    assert {
        name: (job.dns_sd_configs[0].names, job.dns_sd_configs[0].port) for name, job in ours.items()
    } == {
        f"babelcast-{service}": ([service], 9464)
        for service in ("gateway", "session", "transcription", "translation")
    }
    assert jobs["collector"].dns_sd_configs[0].port == 8888
    asked = {
        value
        for rule in RULES
        for (_, label), values in named(rule.expr).values.items()
        if label == "job"
        for value in values
    }
    assert asked <= {*ours, "babelcast"}
