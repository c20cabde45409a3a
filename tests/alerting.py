"""Prometheus' rules as the tests read them, and what rules and dashboards may name."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from grpc import StatusCode

from tests.exported import Exported, exported
from tests.promql import answered, named, parsed

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "observability"
PROGRAMS = ROOT / "deploy" / "dev" / "prometheus"
SCRAPED = {"job", "instance"}
"""Prometheus adds these to what it scrapes."""
FOREIGN = {
    "up": set[str](),
    "probe_ssl_earliest_cert_expiry": set[str](),
    "jetstream_server_total_message_bytes": {"server_name"},
    "jetstream_server_max_storage": {"server_name"},
}
"""What rules may name that is not ours: of Prometheus, the blackbox exporter and NATS' exporter."""


class Rule(msgspec.Struct, frozen=True):
    """One rule of a file."""

    expr: str
    record: str = ""
    alert: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Group(msgspec.Struct):
    name: str
    rules: list[Rule]


class _File(msgspec.Struct):
    groups: list[_Group]


@dataclass(frozen=True, slots=True)
class Known:
    """All metrics that a rule may name, with their labels."""

    labels: dict[str, set[str]] = field(default_factory=dict)

    def __call__(self, metric: str) -> set[str]:
        """The labels of one, what Prometheus adds included."""
        return self.labels[metric]


def files() -> list[Path]:
    """The files of rules; measures first, as others name them."""
    return sorted((FOLDER / "rules").glob("*.yaml"), key=lambda path: (path.stem != "measures", path.stem))


RULES = [
    rule
    for path in files()
    for group in msgspec.yaml.decode(path.read_text(), type=_File).groups
    for rule in group.rules
]


def known() -> Known:
    """What services export, what Prometheus knows besides, and what rules record from it."""
    found = Known({name: labels | SCRAPED for name, labels in {**exported().labels, **FOREIGN}.items()})
    for rule in RULES:
        if rule.record:
            found.labels[rule.record] = answered(parsed(rule.expr), found)
    return found


def program_there(name: str) -> None:
    """See to it that deploy/dev/prometheus has a program, or leave the test out."""
    there = shutil.which(name, path=f"{os.environ['PATH']}:{ROOT}/var/prometheus/usr/bin")
    if not there and subprocess.run([PROGRAMS, "prepare"], check=False, capture_output=True).returncode:
        if os.environ.get("CI"):
            pytest.fail(f"{name} cannot be had")
        pytest.skip(f"{name} cannot be had")


def promtool(*arguments: str | Path) -> None:
    """Run it, and have it agree."""
    program_there("promtool")
    done = subprocess.run([PROGRAMS, "promtool", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def assert_exists(expression: str, metrics: Known, shown: Exported) -> None:
    """Metrics, their labels, and the labels' values where a process shows them from its start on."""
    found = named(expression)
    for metric, labels in found.labels.items():
        assert metric in metrics.labels, f"nobody exports {metric}"
        assert labels <= metrics(metric), f"{metric} has no {labels - metrics(metric)}"
    for (metric, label), values in found.values.items():
        if metric.startswith("babelcast_rpc_") and label == "code":
            assert values <= {status.name for status in StatusCode}
        elif (metric, label) in shown.values and label not in {"le", "engine"}:
            assert values <= shown.values[metric, label], f"{metric} never has {label} {values}"
