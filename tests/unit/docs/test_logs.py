"""The queries of docs/logs.md, on lines and spans that processes of ours write."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.alerting import assert_exists, known
from tests.exported import exported

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "logs.md").read_text()
PACKAGES = ("babelcast", "gateway", "session_svc", "transcription_svc", "translation_svc")
START_NS = 1_700_000_000_000_000_000
PROGRAM = """
import logging
from babelcast import logs

logs.configure(service="gateway", level="INFO")
log = logging.getLogger("gateway.server")
log.info("gateway listens", extra={"port": 8080})
logs.bind(session="golden-eagle-427", connection_id="abc")
log.info("talk finished")
try:
    raise ValueError("no")
except ValueError:
    log.exception("message failed", extra={"code": "INTERNAL_ERROR"})
logs.bind(session="brave-otter-112")
log.critical("the gateway did not close in time")
print("Not JSON at all", file=__import__("sys").stderr)
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with the log of a process."""
    if not shutil.which("jq"):
        pytest.skip("jq is not installed")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    (tmp_path / "gateway.log").write_text(done.stderr)
    return tmp_path


def query(name: str, folder: Path) -> list[dict[str, object]]:
    """What the page's query answers there."""
    found = re.search(rf"<!-- query {name} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found
    done = subprocess.run(["bash", "-c", found[1]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_errors_of_the_last_hour(run: Path) -> None:
    """Errors and worse, with their session and code; old ones and lines of others are left out."""
    with (run / "gateway.log").open("a") as log:
        log.write('{"timestamp":"2020-01-01T00:00:00.000Z","level":"ERROR","message":"long ago"}\n')
    found = query("errors", run)
    assert [(line["message"], line["session"], line["code"]) for line in found] == [
        ("message failed", "golden-eagle-427", "INTERNAL_ERROR"),
        ("the gateway did not close in time", "brave-otter-112", None),
    ]
    assert "ValueError" in str(found[0]["exception"])


def test_life_of_a_session(run: Path) -> None:
    """Its lines alone, of all files, by time."""
    (run / "earlier.log").write_text(
        '{"timestamp":"2020-01-01T00:00:00.000Z","session":"golden-eagle-427","message":"before"}\n'
    )
    assert [line["message"] for line in query("session", run)] == [
        "before",
        "talk finished",
        "message failed",
    ]


def test_latency_by_operation(run: Path) -> None:
    """Count, average and p95 of spans as they are exported."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("test")
    for number in range(1, 101):
        tracer.start_span("translate es", start_time=START_NS).end(START_NS + number * 1_000_000)
    tracer.start_span("deliver", start_time=START_NS).end(START_NS + 2_000_000)
    (run / "spans.json").write_text(MessageToJson(encode_spans(spans.get_finished_spans())))
    found = {
        line["operation"]: (line["count"], line["average_ms"], line["p95_ms"])
        for line in query("latency", run)
    }
    assert found["deliver"] == pytest.approx((1, 2, 2), abs=0.01)
    assert found["translate es"] == pytest.approx((100, 50.5, 95), abs=0.01)


def test_fields_are_those_of_lines() -> None:
    """Whatever a query names is written by the formatter or given with some message."""
    table = PAGE.split("| field | what |")[1].split("\n\n")[0]
    listed = set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:])))
    formatter = (ROOT / "babelcast" / "logs.py").read_text()
    source = "".join(path.read_text() for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    given = set(re.findall(r'"(\w+)":', "".join(re.findall(r"extra=\{.*?\}", source, re.DOTALL))))
    written = set(re.findall(r'"(\w+)"', formatter))
    assert listed <= written | given
    kept = re.findall(r"^(?:fields|\| KEEP) (.*)|\| \{(timestamp, .*?)\}", PAGE, re.MULTILINE)
    named = {name.strip() for pair in kept for name in ",".join(pair).split(",") if name.strip()}
    assert named - {"@timestamp"} <= listed


def test_metrics_of_latency_exist() -> None:
    """All six queries of the table."""
    queries = re.findall(r"\| `((?:sum|histogram)[^`]*)` \| `([^`]*)` \|", PAGE)
    assert len(queries) == 3
    for pair in queries:
        for one in pair:
            assert_exists(one, known(), exported())
