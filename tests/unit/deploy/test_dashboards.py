"""The dashboards: as the code has them, on metrics that exist."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.observability.boards import BOARDS
from deploy.observability.generate import FOLDER, dashboard
from deploy.observability.panels import Board, Graph, Panel, queries_of
from tests.alerting import Known, assert_exists, known, promtool
from tests.exported import exported
from tests.promql import answered, named, parsed

PANELS = [
    pytest.param(panel, id=f"{board.uid}: {panel.title}")
    for board in BOARDS
    for row in board.rows
    for panel in row.panels
]
BY_UID = pytest.mark.parametrize("board", BOARDS, ids=[board.uid for board in BOARDS])


@pytest.fixture(scope="module")
def metrics() -> Known:
    """What there is to ask for, the alerts that Prometheus keeps itself included."""
    found = known()
    found.labels["ALERTS"] = {"alertname", "alertstate", "severity", "area"}
    return found


@BY_UID
def test_files_are_as_the_code_has_them(board: Board) -> None:
    """`make dashboards` mends it; nobody edits them by hand."""
    assert (FOLDER / f"{board.uid}.json").read_text() == dashboard(board)


def test_there_are_no_other_files() -> None:
    """A dashboard that is gone leaves nothing behind."""
    assert {path.stem for path in FOLDER.iterdir()} == {board.uid for board in BOARDS}


def test_the_four_of_the_checklist_are_there() -> None:
    """By the names that operators look for."""
    assert {board.title.removeprefix("Babelcast: ") for board in BOARDS} == {
        "session management",
        "audio transcription",
        "translation pipeline",
        "system overview",
    }


@pytest.mark.parametrize("panel", PANELS)
def test_ask_for_what_is_exported(panel: Panel, metrics: Known) -> None:
    """Each query is PromQL on metrics, labels and values that exist."""
    for query in queries_of(panel):
        assert_exists(query.expr, metrics, exported())


@pytest.mark.parametrize("panel", PANELS)
def test_legends_name_labels_that_an_answer_has(panel: Panel, metrics: Known) -> None:
    """And several lines have names of their own."""
    for query in queries_of(panel):
        labels = answered(parsed(query.expr), metrics)
        named_labels = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
        assert named_labels <= labels
        if isinstance(panel, Graph):
            assert query.legend
            assert labels - {"job", "instance"} <= named_labels, "lines cannot be told apart"


@pytest.mark.parametrize("panel", PANELS)
def test_sentences_count_once(panel: Panel) -> None:
    """What is told of partial and final texts, or of captions and voices, is told apart or one of them."""
    for query in queries_of(panel):
        for metric in (
            "babelcast_gateway_transcripts_forwarded_total",
            "babelcast_translation_generated_total",
        ):
            assert metric not in query.expr or "kind" in query.expr


def test_prometheus_takes_every_query(tmp_path: Path) -> None:
    """Its own parser has the last word, so all queries are put in a file of rules."""
    expressions = [query.replace("$__rate_interval", "5m") for board in BOARDS for query in board.queries]
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(expressions)]
    path = tmp_path / "queries.yaml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    promtool("check", "rules", path)


@BY_UID
def test_grafana_finds_its_way(board: Board) -> None:
    """Ids of panels are unique, nothing lies on anything else, and readers choose the source of data."""
    made = json.loads(dashboard(board))
    panels = [panel for panel in made["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in panels}) == len(panels) == sum(len(row.panels) for row in board.rows)
    assert {panel["datasource"]["uid"] for panel in panels} == {"$datasource"}
    places = [place for panel in made["panels"] for place in _places(panel["gridPos"])]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert {link["url"] for link in made["links"]} == {
        f"/d/{other.uid}" for other in BOARDS if other is not board
    }


def test_alerts_are_marked(metrics: Known) -> None:
    """On every dashboard, by a query of its own."""
    for board in BOARDS:
        [mark] = json.loads(dashboard(board))["annotations"]["list"]
        assert set(named(mark["expr"]).labels) <= set(metrics.labels)


def test_the_command_writes_what_is_there() -> None:
    """`make dashboards` changes nothing that is as it should be."""
    before = {path.name: path.read_text() for path in FOLDER.iterdir()}
    subprocess.run([sys.executable, "-m", "deploy.observability.generate"], check=True, cwd=FOLDER.parents[2])
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == before


def _places(spot: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(spot["x"], spot["x"] + spot["w"]):
        for y in range(spot["y"], spot["y"] + spot["h"]):
            yield x, y
