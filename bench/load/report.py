"""A run as one HTML file that needs nothing else."""

import html
from collections.abc import Sequence

from bench.load.charts import Line, chart
from bench.load.figures import NAMES, Figures, Second

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --back: #fff; --grid: #d9dce1; --bad: #b3261e;
  --c0: #2563eb; --c1: #c2410c; --c2: #15803d; --c3: #7e22ce; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --back: #16181c; --grid: #3a3f47;
  --bad: #ff8a80;
  --c0: #7aa7ff; --c1: #ff9b5e; --c2: #6fcf7f; --c3: #cf9bff; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 11px; } .grid { stroke: var(--grid); }
.line { fill: none; stroke-width: 1.6; } .bad { color: var(--bad); }
figcaption span { margin-left: 1rem; } figcaption span::before { content: "\\2014\\2002"; }
.c0 { stroke: var(--c0); color: var(--c0); } .c1 { stroke: var(--c1); color: var(--c1); }
.c2 { stroke: var(--c2); color: var(--c2); } .c3 { stroke: var(--c3); color: var(--c3); }
"""
_SHARES = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0]
_LABELS = ["p50", "p75", "p90", "p95", "p99", "p99.5", "p99.9", "max"]
MB = 1e6


def page(figures: Figures, *, more: Sequence[str] = (), more_faults: Sequence[str] = ()) -> str:
    """The whole file; `more` is HTML after the verdict, `more_faults` is text in it."""
    faults = [*figures.faults(), *more_faults]
    verdict = (
        "<ul class=bad>" + "".join(f"<li>{html.escape(line)}</li>" for line in faults) + "</ul>"
        if faults
        else "<p>Nothing was lost, nothing came twice, no errors.</p>"
    )
    sections = [
        f"<h1>{html.escape(figures.title)}</h1>",
        f"<p>{html.escape(', '.join(figures.languages))}; {figures.seconds:.0f} s of talk; "
        f"{html.escape(figures.machine)}</p>",
        verdict,
        *more,
        "<h2>Times, ms</h2>",
        _times(figures),
        "<h2>Percentiles, ms</h2>",
        _percentiles(figures, ["delivery", "spread", "last"]),
        _percentiles(figures, ["caption", "voice", "voice_last"]),
        _percentiles(figures, ["join", "control", "told"]),
        "<h2>The course of it</h2>",
        *_course(figures.course),
        "<h2>Cost</h2>",
        table(cost(figures)),
        "<h2>Counts</h2>",
        table(counts(figures)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width"><title>'
        f"{html.escape(figures.title)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join(sections)
        + "</body></html>\n"
    )


def cost(figures: Figures) -> list[tuple[str, str]]:
    """CPU and memory, per delivery and per listener."""
    messages, listeners = max(1, figures.tally.messages), max(1, figures.listeners)
    rows = [
        ("this program, CPU of the talk", f"{figures.own_cpu_s / max(1e-9, figures.seconds):.2f} cores"),
        ("its listeners, CPU per delivery", f"{1e6 * figures.listeners_cpu_s / messages:.1f} µs"),
        ("its memory per listener", f"{figures.rss_per_listener / 1e3:.1f} kB"),
    ]
    if figures.server_rss_bytes:
        grown = figures.server_rss_bytes - figures.server_rss_idle_bytes
        rows += [
            ("server, CPU of the talk", f"{figures.server_cpu_s / max(1e-9, figures.seconds):.2f} cores"),
            ("server, CPU per delivery", f"{1e6 * figures.server_cpu_s / messages:.1f} µs"),
            ("server, most memory", f"{figures.server_rss_bytes / MB:.0f} MB"),
            ("server, memory per listener", f"{grown / 1e3 / listeners:.1f} kB"),
        ]
    return rows


def counts(figures: Figures) -> list[tuple[str, str]]:
    """How many of what."""
    tally = figures.tally
    rows = [
        ("deliveries", f"{tally.messages:,} ({tally.bytes / MB:,.1f} MB)"),
        (
            "reconnects; moves asked for; came back anew",
            f"{tally.reconnects:,}; {tally.moves:,}; {tally.rejoins:,}",
        ),
        ("sent again by protocol; late", f"{tally.overlaps:,}; {tally.late:,}"),
        ("duplicates; out of order", f"{tally.duplicates:,}; {tally.disordered:,}"),
        ("audio chunks; speakers' reconnects", f"{figures.chunks:,}; {figures.speaker_reconnects:,}"),
    ]
    if figures.sentences:
        rows.append(("scripted sentences said; wrong", f"{figures.sentences:,}; {figures.wrong_sentences:,}"))
    for name, codes in (("refused", tally.refused), ("closed", tally.closes), ("errors", figures.errors)):
        rows += [(f"{name}: {code}", f"{count:,}") for code, count in sorted(codes.items())]
    return rows


def _times(figures: Figures) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(NAMES[name])}</td><td>{figures.times[name].count:,}</td>"
        + "".join(f"<td>{cut:,.1f}</td>" for cut in cuts)
        + "</tr>"
        for name, cuts in figures.cuts().items()
    )
    heads = "".join(f"<th>{name}</th>" for name in ("", "count", "p50", "p95", "p99", "max"))
    return f"<table><tr>{heads}</tr>{rows}</table>"


def _percentiles(figures: Figures, names: Sequence[str]) -> str:
    lines = [
        Line(name.replace("_", " "), list(enumerate(figures.times[name].cuts(_SHARES)))) for name in names
    ]
    return chart(lines, x_name="percentile", y_name="ms", labels=list(enumerate(_LABELS)))


def _course(course: Sequence[Second]) -> list[str]:
    points = [second for second in course if second.seconds]

    def line(name: str, values: Sequence[float]) -> Line:
        return Line(name, [(second.at_s, value) for second, value in zip(points, values, strict=True)])

    return [
        chart([line("seated", [second.seated for second in points])], x_name="s", y_name="listeners"),
        chart(
            [line("deliveries", [second.messages / second.seconds for second in points])],
            x_name="s",
            y_name="a second",
        ),
        chart(
            [
                line("delivery p50", [second.delivery.percentile(0.5) for second in points]),
                line("delivery p99", [second.delivery.percentile(0.99) for second in points]),
            ],
            x_name="s",
            y_name="ms",
        ),
        chart(
            [line("reconnects", [second.reconnects for second in points])],
            x_name="s",
            y_name="reconnects",
        ),
        chart(
            [
                line("server", [second.server_cpu_s / second.seconds for second in points]),
                line("this program", [second.own_cpu_s / second.seconds for second in points]),
            ],
            x_name="s",
            y_name="cores",
        ),
        chart([line("server", [second.server_rss_bytes / MB for second in points])], x_name="s", y_name="MB"),
    ]


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Two columns of text."""
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>" for name, text in rows
    )
    return f"<table>{body}</table>"
