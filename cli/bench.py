"""`babelcast bench`: measurements against a running server or one of our own."""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from babelcast import scripted
from babelcast.wav import Sound
from bench.latency import LatencyOptions, LatencyReport, measure
from bench.load import report
from bench.load.figures import NAMES, Figures, summary
from bench.load.run import LoadOptions, run
from bench.load.worker import more_files
from bench.measures import Summary
from bench.own_server import own_server
from cli import outcome
from cli.engines import SETTINGS


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
        measured = await measure(
            LatencyOptions(
                url=address,
                token=good_token,
                speech=speech,
                source_language=source_language,
                target_languages=target_languages,
                sessions=sessions,
            )
        )
    show(measured, console)
    return outcome.FAILED if measured.shortfalls() else outcome.OK


def show(measured: LatencyReport, console: Console) -> None:
    """The figures as tables, then what is not as it should be."""
    table = Table("s", "count", "median", "p95", "most", title=f"{measured.sentences} sentences")
    _row(table, "first transcript after the first word", measured.first_transcript)
    _row(table, "first caption after the first word", measured.first_caption)
    _row(table, "voice after the end of the sentence", measured.voice)
    for language, lags in measured.voice_by_language.items():
        _row(table, f"  {language}", lags)
    console.print(table)
    stages = ", ".join(f"{stage} {took:.0f}" for stage, took in measured.stages_ms.items())
    console.print(f"stages, median ms each: {stages}", highlight=False)
    if len(measured.by_minute) > 1:
        minutes = ", ".join(f"{minute}: {summary.median_s:.2f}" for minute, summary in measured.by_minute)
        console.print(
            f"voice lag by minute, median s: {minutes}; growth {measured.growth_s:+.2f}", highlight=False
        )
    if measured.tried_one_more:
        console.print(f"one session more: {measured.refused or 'accepted'}", highlight=False)
    for problem in measured.problems:
        console.print(f"reported: {problem}", style="yellow", highlight=False, markup=False)
    for shortfall in measured.shortfalls():
        console.print(f"NOT MET: {shortfall}", style="bold red", highlight=False)


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What `bench load` is told beside its LoadOptions."""

    options: LoadOptions
    report: Path | None
    as_json: bool


async def load(plan: LoadPlan, console: Console) -> int:
    """Run listeners and speakers, print, and write the report; returns the exit code, 1 when there was loss,
    duplicates or errors. Without addresses a server of our own is started: with scripted engines, unless
    there is speech.

    Raises: BabelcastError, OSError.
    """
    more_files()
    options = dataclasses.replace(
        plan.options, tell=lambda line: console.print(line, highlight=False, style="dim")
    )
    async with _loaded(options) as good:
        figures = await run(good)
    if plan.as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(summary(figures))).decode() + "\n")
    show_load(figures, console)
    if plan.report is not None:
        plan.report.write_text(report.page(figures), encoding="utf-8")
        console.print(f"report: {plan.report}", highlight=False)
    return outcome.FAILED if figures.faults() else outcome.OK


def show_load(figures: Figures, console: Console) -> None:
    """The figures as tables, then what is not as it should be."""
    table = Table("ms", "count", "p50", "p95", "p99", "max", title=f"{figures.title}; {figures.machine}")
    for name, cuts in figures.cuts().items():
        table.add_row(NAMES[name], f"{figures.times[name].count:,}", *(f"{cut:,.1f}" for cut in cuts))
    console.print(table)
    for name, text in (*report.cost(figures), *report.counts(figures)):
        console.print(f"{name}: {text}", highlight=False, markup=False)
    faults = figures.faults()
    for fault in faults:
        console.print(f"NOT MET: {fault}", style="bold red", highlight=False, markup=False)
    if not faults:
        console.print("nothing lost, nothing twice, no errors", style="green")


@contextlib.asynccontextmanager
async def _loaded(options: LoadOptions) -> AsyncIterator[LoadOptions]:
    """With the addresses of a server; one of our own has limits that let everybody in."""
    if options.urls:
        yield options
        return
    many = str(max(10_000, 100 * options.listeners))
    environ = {
        "MAX_LISTENERS_PER_SESSION": many,
        "RATE_LIMIT_LISTENER_JOINS_PER_MIN": many,
        "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": many,
        "RATE_LIMIT_SESSIONS_PER_HOUR": many,
        "MAX_CONCURRENT_STREAMS_PER_SPEAKER": "0",
        **({} if options.sounds else dict.fromkeys(SETTINGS, scripted.NAME)),
    }
    with tempfile.TemporaryDirectory(prefix="babelcast-bench-") as folder:
        async with own_server(Path(folder), environ=environ) as server:
            pids = [*options.server_pids, server.process.pid]
            yield dataclasses.replace(options, urls=[server.url], token=server.token, server_pids=pids)


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
