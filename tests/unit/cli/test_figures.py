"""What a watch asks of Prometheus, held against what services export and what the rules say."""

import json
from pathlib import Path

import pytest

from cli import figures
from cli.figures import FIGURES, TRIGGERS, Kind, at
from docs import measures
from tests.alerting import RULES, Known, assert_exists, known, promtool
from tests.exported import exported

ALERTS = {"alertname", "alertstate", "severity"}
EXPRESSIONS = {
    **{f"{each.kind} {each.name}": each.expr for each in FIGURES},
    **{f"{each.kind} {each.name} happens": each.happens for each in FIGURES if each.happens},
    **{f"trigger {each.name}": each.expr for each in TRIGGERS},
    "fired": figures.FIRED,
}


@pytest.fixture(scope="module")
def metrics() -> Known:
    """What there is to ask for, the alerts that Prometheus keeps itself included."""
    found = known()
    found.labels["ALERTS"] = ALERTS
    return found


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_ask_for_what_is_exported(name: str, metrics: Known) -> None:
    """Each is PromQL on metrics, labels and values that exist, now and before."""
    for ago in (False, True):
        assert_exists(at(EXPRESSIONS[name], over_s=3600, before_s=86_400, ago=ago), metrics, exported())


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    """Its own parser has the last word, so all are put in a file of rules."""
    rules = [
        {"record": f"query:{number}", "expr": at(expression, over_s=3600, before_s=86_400, ago=ago)}
        for number, expression in enumerate(EXPRESSIONS.values())
        for ago in (False, True)
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    promtool("check", "rules", path)


def test_the_checklists_figures_are_there() -> None:
    """All that operators are asked to watch, latencies by p50, p95 and p99; only the second has a target."""
    named = {each.name for each in FIGURES}
    for kind, name, _, _ in measures.CHECKLIST:
        if kind == "latency":
            assert {f"{name} p{number}" for number in (50, 95, 99)} <= named
        else:
            assert {name, f"{name} p95"} & named
    for each in FIGURES:
        if each.kind is Kind.LATENCY:
            assert (each.at_most is not None) == each.name.endswith(" p95")
        if each.kind is Kind.ERRORS:
            assert each.at_most == 0.01


def test_the_checklists_alarms_are_looked_for() -> None:
    """The nine, by the names that the rules have."""
    assert len(figures.ALARMS) == 9
    assert set(figures.ALARMS) <= {rule.alert for rule in RULES}


def test_nothing_is_left_to_fill_in() -> None:
    """No placeholder reaches Prometheus."""
    for expression in EXPRESSIONS.values():
        for ago in (False, True):
            assert "$" not in at(expression, over_s=60, before_s=120, ago=ago)
