"""Prometheus' rules: on metrics that exist, with runbooks, firing when they should and not otherwise."""

import re
from pathlib import Path

import msgspec
import pytest

from babelcast.telemetry.catalogue import CATALOGUE
from tests.alerting import FOLDER, ROOT, RULES, Rule, assert_exists, files, known, promtool
from tests.exported import exported
from tests.promql import answered, parsed

CHECKLIST = {
    "AudioProcessorErrors": "page",
    "TranscribeStreamFailures": "page",
    "TranslationPipelineFailures": "page",
    "WebSocketAPIErrors": "page",
    "DynamoDBThrottling": "page",
    "HighLatency": "email",
    "LowCacheHitRate": "email",
    "HighMemoryUsage": "email",
    "ConnectionTimeouts": "email",
}


class _Alerting(msgspec.Struct):
    alertname: str
    exp_alerts: list[object] = []


class _Case(msgspec.Struct):
    name: str
    alert_rule_test: list[_Alerting]


class _Cases(msgspec.Struct):
    tests: list[_Case]


ALERTS = [rule for rule in RULES if rule.alert]
CASES = sorted((FOLDER / "rules" / "tests").glob("*_test.yaml"))


def ids(rules: list[Rule]) -> list[str]:
    """Names for pytest."""
    return [rule.alert or rule.record for rule in rules]


def test_the_exporter_shows_whatever_is_in_the_catalogue() -> None:
    """So the names that rules are held against are the real ones."""
    shown = exported().labels
    assert {
        one.exported for one in CATALOGUE if not {one.exported, f"{one.exported}_bucket"} & set(shown)
    } == set()


@pytest.mark.parametrize("rule", RULES, ids=ids(RULES))
def test_name_what_is_exported(rule: Rule) -> None:
    """A rule on a metric, a label or a code that nobody exports would be silent for ever."""
    assert_exists(rule.expr, known(), exported())


def test_a_name_that_is_not_exported_is_found() -> None:
    """What is checked can fail: by metric, by label, and by value."""
    for wrong in (
        "rate(babelcast_gateway_joined_total[5m])",
        "sum by (session) (babelcast_gateway_sessions)",
        'babelcast_gateway_joins_total{outcome=~"ok|LATE"}',
        'babelcast_rpc_server_duration_seconds_count{code="BROKEN"}',
    ):
        with pytest.raises(AssertionError):
            assert_exists(wrong, known(), exported())


@pytest.mark.parametrize("rule", ALERTS, ids=ids(ALERTS))
def test_alerts_tell_what_to_do(rule: Rule) -> None:
    """Each has a place to go to, a part of the system, a summary, and a section in the runbook."""
    assert rule.labels["severity"] in {"page", "email", "none"}
    assert rule.labels["area"]
    assert rule.annotations["summary"]
    assert rule.annotations["runbook_url"] == f"docs/alerts.md#{rule.alert.lower()}"


@pytest.mark.parametrize("rule", ALERTS, ids=ids(ALERTS))
def test_texts_name_labels_that_an_alert_has(rule: Rule) -> None:
    """`{{ $labels.x }}` that is not there reads as nothing."""
    asked = set(re.findall(r"\$labels\.(\w+)", " ".join(rule.annotations.values())))
    assert asked <= answered(parsed(rule.expr), known()) | set(rule.labels)


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """In three parts that somebody who was asleep finds again, and when to roll back."""
    page = (ROOT / "docs" / "alerts.md").read_text()
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    assert sorted(sections) == sorted(rule.alert for rule in ALERTS)
    for name, text in sections.items():
        for part in ("**Means**", "**First**", "**Causes**", "**Roll back**"):
            assert part in text, f"{name} has no {part}"
        first = text.split("**First**")[1].split("**Causes**")[0]
        assert len(re.findall(r"^\S.*$", first.split("```")[1], re.MULTILINE)) >= 3, name


def test_queries_of_runbooks_ask_for_what_is_exported() -> None:
    """At 3 a.m. nobody looks for a name that was changed."""
    page = (ROOT / "docs" / "alerts.md").read_text()
    queries = re.findall(r"^promtool query instant \$PROM '(.*)'$", page, re.MULTILINE)
    metrics = known()
    metrics.labels["ALERTS"] = {"alertname", "alertstate"}
    assert len(queries) > len(ALERTS)
    for query in queries:
        assert_exists(query, metrics, exported())


def test_the_checklists_alarms_are_there() -> None:
    """Five that wake somebody, four that come by mail."""
    assert {rule.alert: rule.labels["severity"] for rule in ALERTS if rule.alert in CHECKLIST} == CHECKLIST


def test_every_alert_is_tried_both_ways() -> None:
    """Somewhere it fires, and somewhere it does not; what always fires is excepted."""
    fires: dict[str, set[bool]] = {}
    for path in CASES:
        for case in msgspec.yaml.decode(path.read_text(), type=_Cases).tests:
            for one in case.alert_rule_test:
                fires.setdefault(one.alertname, set()).add(bool(one.exp_alerts))
    assert {rule.alert: fires.get(rule.alert) for rule in ALERTS if rule.alert != "Watchdog"} == {
        rule.alert: {True, False} for rule in ALERTS if rule.alert != "Watchdog"
    }


def test_the_bound_of_lag_is_one_of_its_buckets() -> None:
    """Else the share within 5 s would be no number."""
    assert "5.0" in exported().values["babelcast_gateway_end_to_end_seconds_bucket", "le"]


def test_promtool_takes_the_rules() -> None:
    """As Prometheus would."""
    promtool("check", "rules", *files())


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_alerts_fire_when_they_should(path: Path) -> None:
    """`promtool test rules`: each case is a story."""
    promtool("test", "rules", path)


def test_promtool_takes_the_configuration() -> None:
    """With the rules that it names."""
    promtool("check", "config", FOLDER / "prometheus.yaml")
