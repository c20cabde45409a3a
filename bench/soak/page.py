"""What a soak adds to the report of a load: memory by process, and lag over time."""

import html
from collections.abc import Sequence

from bench.load.charts import Line, chart
from bench.load.figures import Second
from bench.load.histogram import Histogram
from bench.soak.flat import Change
from bench.soak.memory import Memory

SHOWN = 4
"""The largest processes, each with a line of its own."""
STRETCHES = 30
"""Of the lag's chart: a second has a voice or none."""
MB = 1e6


def sections(memory: Memory, course: Sequence[Second], changes: Sequence[Change]) -> list[str]:
    """HTML that needs nothing else."""
    largest = sorted(memory.processes.values(), key=lambda grown: -max(size for _, size in grown.samples))
    lines = [
        Line(f"{grown.name} ({grown.pid})", [(at_s, size / MB) for at_s, size in grown.samples])
        for grown in largest[:SHOWN]
    ]
    total = Line("all processes", [(at_s, size / MB) for at_s, size in memory.total])
    return [
        "<h2>Flat?</h2>",
        _table(changes),
        "<h2>Memory</h2>",
        chart([total], x_name="s", y_name="MB"),
        chart(lines, x_name="s", y_name="MB"),
        "<h2>Lag</h2>",
        chart(_lags(course, "voice"), x_name="s", y_name="voice after the end of its speech, ms"),
        chart(_lags(course, "caption"), x_name="s", y_name="first caption after the first word, ms"),
    ]


def _table(changes: Sequence[Change]) -> str:
    rows = "".join(
        f"<tr{'' if change.flat else ' class=bad'}><td>{html.escape(change.name)}</td>"
        f"<td>{change.first:,.1f}</td><td>{change.last:,.1f}</td><td>{change.growth:+.1%}</td>"
        f"<td>{change.limit:,.1f}</td></tr>"
        for change in changes
    )
    return (
        "<table><tr><th></th><th>first third</th><th>last third</th><th>growth</th><th>at most</th></tr>"
        f"{rows}</table>"
    )


def _lags(course: Sequence[Second], kind: str) -> list[Line]:
    size = max(1, len(course) // STRETCHES)
    stretches = []
    for start in range(0, len(course), size):
        whole = Histogram()
        for point in course[start : start + size]:
            whole.merge(getattr(point, kind))
        stretches.append((course[start].at_s, whole))
    return [
        Line(name, [(at_s, whole.percentile(share)) for at_s, whole in stretches])
        for name, share in (("median", 0.5), ("p95", 0.95))
    ]
