"""The catalogue of instruments, and what is exported of them."""

import re
import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from babelcast.errors import ErrorCode
from babelcast.telemetry import export, instruments, zeros
from babelcast.telemetry.catalogue import CATALOGUE, Described, Kind
from tests.measured import Measured


def provided() -> tuple[CollectorRegistry, MeterProvider]:
    """A registry, and what fills it."""
    registry = CollectorRegistry()
    return registry, export.provide([export.scraped(registry)], service="test")


def test_every_instrument_is_described() -> None:
    """Each has a name of its own, a unit and one or more sentences; no attribute names a person or a talk."""
    names = [described.name for described in CATALOGUE]
    assert len(names) == len(set(names))
    assert len({described.exported for described in CATALOGUE}) == len(names)
    for described in CATALOGUE:
        assert re.fullmatch(r"babelcast(\.[a-z_]+){2,3}", described.name), described
        assert described.unit
        assert described.description.endswith("."), described
        assert not {"session", "session_id", "connection", "address", "speaker"} & set(described.attributes)


@pytest.mark.parametrize(
    ("described", "exported"),
    [
        (Described("babelcast.a.lost", Kind.COUNTER, "s", ""), "babelcast_a_lost_seconds_total"),
        (Described("babelcast.a.lost", Kind.COUNTER, "{chunk}", ""), "babelcast_a_lost_total"),
        (Described("babelcast.a.cost", Kind.COUNTER, "USD", ""), "babelcast_a_cost_USD_total"),
        (Described("babelcast.a.size", Kind.GAUGE, "By", ""), "babelcast_a_size_bytes"),
        (Described("babelcast.a.load", Kind.GAUGE, "1", ""), "babelcast_a_load"),
        (Described("babelcast.a.lag", Kind.HISTOGRAM, "s", ""), "babelcast_a_lag_seconds"),
    ],
)
def test_names_as_they_are_exported(described: Described, exported: str) -> None:
    """The catalogue says what Prometheus' exporter makes of a name."""
    assert described.exported == exported
    registry, provider = provided()
    meter = provider.get_meter("test")
    match described.kind:
        case Kind.COUNTER:
            meter.create_counter(described.name, unit=described.unit).add(1)
        case Kind.GAUGE:
            meter.create_gauge(described.name, unit=described.unit).set(1)
        case Kind.HISTOGRAM:
            meter.create_histogram(described.name, unit=described.unit).record(1)
    page = generate_latest(registry).decode()
    assert f"# TYPE {exported} {described.kind.value}" in page
    provider.shutdown()


def test_other_attributes_are_left_out() -> None:
    """A label that the catalogue does not know is not exported, whoever records it."""
    registry, provider = provided()
    counter = provider.get_meter("test").create_counter("babelcast.a.b")
    for number in range(50):
        counter.add(1, {"session": f"golden-eagle-{number}", instruments.CAUSE: "idle"})
    assert 'babelcast_a_b_total{cause="idle"} 50.0' in generate_latest(registry).decode()
    provider.shutdown()


def test_series_are_bounded() -> None:
    """Labels with too many values end in one series for the rest, and nothing is lost from the sum."""
    registry, provider = provided()
    counter = provider.get_meter("test").create_counter("babelcast.a.b")
    for number in range(2 * export.MAX_SERIES):
        counter.add(1, {instruments.CODE: str(number)})
    page = generate_latest(registry).decode()
    series = [line for line in page.splitlines() if line.startswith("babelcast_a_b_total{")]
    assert len(series) <= export.MAX_SERIES + 1
    assert sum(float(line.rpartition(" ")[2]) for line in series) == 2 * export.MAX_SERIES
    assert "overflow" in page
    provider.shutdown()


def test_what_is_known_begins_at_zero(measured: Measured) -> None:
    """Counting nothing makes all series that a gateway's alarms look at."""
    zeros.begin("gateway")
    assert measured.total("babelcast.gateway.errors") == 0
    page = _series("babelcast.gateway.errors")
    assert {labels[instruments.CODE] for labels in page} >= {code.value for code in ErrorCode}


def test_an_unknown_service_begins_with_nothing() -> None:
    """A program of another name has no series before it counts."""
    zeros.begin("something")


def _series(name: str) -> list[dict[str, object]]:
    """The labels of what was recorded."""
    return [dict(labels) for series, labels in Measured().series() if series == name]


def test_importing_connects_to_nothing() -> None:
    """Instruments do nothing until a composition root says so: no thread, no exporter."""
    code = (
        "import threading, sys, babelcast.telemetry.instruments as on; on.ERRORS.add(1, {'code': 'X'});"
        "print(threading.active_count(), 'prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
