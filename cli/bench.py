"""`babelcast bench`: measurements against a running server or one of our own."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from babelcast.wav import Sound
from bench.latency import LatencyOptions, LatencyReport, measure
from bench.measures import Summary
from bench.own_server import own_server
from cli import outcome


async def latency(
    *,
    url: str,
    token: str,
    speech: Sound,
    source_language: str,
    target_languages: Sequence[str],
    sessions: int,
    console: Console,
) -> int:
    """Measure and print; returns the exit code. Without `url` a server of our own is started.

    Raises: BabelcastError.
    """
    async with _server(url, token) as (address, good_token):
        minutes = speech.seconds / 60
        console.print(
            f"{sessions} session(s) of {minutes:.1f} min, {source_language} → {' '.join(target_languages)}",
            highlight=False,
        )
        report = await measure(
            LatencyOptions(
                url=address,
                token=good_token,
                speech=speech,
                source_language=source_language,
                target_languages=target_languages,
                sessions=sessions,
            )
        )
    show(report, console)
    return outcome.FAILED if report.shortfalls() else outcome.OK


def show(report: LatencyReport, console: Console) -> None:
    """The figures as tables, then what is not as it should be."""
    table = Table("s", "count", "median", "p95", "most", title=f"{report.sentences} sentences")
    _row(table, "first transcript after the first word", report.first_transcript)
    _row(table, "first caption after the first word", report.first_caption)
    _row(table, "voice after the end of the sentence", report.voice)
    for language, summary in report.voice_by_language.items():
        _row(table, f"  {language}", summary)
    console.print(table)
    stages = ", ".join(f"{stage} {took:.0f}" for stage, took in report.stages_ms.items())
    console.print(f"stages, median ms each: {stages}", highlight=False)
    if len(report.by_minute) > 1:
        minutes = ", ".join(f"{minute}: {summary.median_s:.2f}" for minute, summary in report.by_minute)
        console.print(
            f"voice lag by minute, median s: {minutes}; growth {report.growth_s:+.2f}", highlight=False
        )
    if report.tried_one_more:
        console.print(f"one session more: {report.refused or 'accepted'}", highlight=False)
    for problem in report.problems:
        console.print(f"reported: {problem}", style="yellow", highlight=False, markup=False)
    for shortfall in report.shortfalls():
        console.print(f"NOT MET: {shortfall}", style="bold red", highlight=False)


@contextlib.asynccontextmanager
async def _server(url: str, token: str) -> AsyncIterator[tuple[str, str]]:
    if url:
        yield url, token
        return
    with tempfile.TemporaryDirectory(prefix="babelcast-bench-") as folder:
        async with own_server(Path(folder)) as server:
            yield server.url, server.token


def _row(table: Table, name: str, summary: Summary) -> None:
    figures = (summary.median_s, summary.p95_s, summary.most_s)
    table.add_row(name, str(summary.count), *(f"{figure:.2f}" for figure in figures))
