"""`python -m bench.soak`: real engines for a long time, with memory and lag that stay as they are."""

import argparse
import asyncio
import contextlib
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.wav import Sound
from bench.load import report
from bench.load.figures import Figures
from bench.load.run import LoadOptions, run
from bench.load.worker import more_files
from bench.own_server import own_server
from bench.quality.recordings import pcm_of, read_folder
from bench.soak import flat, page
from bench.soak.memory import Memory

SESSIONS, LISTENERS = 3, 300
LANGUAGES = ("es", "pt", "fr")
RAMP_S = 20.0
LARGE_MB = 100.0
"""Smaller programs are told of only when they grew; the report has them all."""
_MANY = "100000"
_ROOM = {
    "MAX_LISTENERS_PER_SESSION": _MANY,
    "RATE_LIMIT_LISTENER_JOINS_PER_MIN": _MANY,
    "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": _MANY,
    "MAX_CONCURRENT_STREAMS_PER_SPEAKER": "0",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is done."""

    speech: Path
    minutes: float
    sessions: int
    listeners: int
    report: Path

    def environ(self) -> dict[str, str]:
        """Limits that let all of it in, for as long as it takes."""
        return {**_ROOM, "SESSION_MAX_DURATION_HOURS": str(self.minutes / 60 + 1)}


async def soak(plan: Plan, console: Console) -> int:
    """Do it; returns the exit code: 0 when memory and lag were flat and nothing was lost.

    Raises: BabelcastError, OSError.
    """
    more_files()
    sounds = [
        Sound(pcm_of(recording.samples), SAMPLE_RATE_HZ)
        for recording in read_folder(plan.speech, language="en")
    ]
    if not sounds:
        console.print(f"there is no English speech in {plan.speech}", style="bold red")
        return 1
    plan.report.parent.mkdir(parents=True, exist_ok=True)
    log = plan.report.with_suffix(".log")
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="babelcast-soak-") as folder:
        async with own_server(Path(folder), environ=plan.environ(), stderr=log) as server:
            memory = Memory(server.process.pid)
            watching = asyncio.create_task(memory.watch(), name="soak-memory")
            options = LoadOptions(
                urls=[server.url],
                token=server.token,
                listeners=plan.listeners,
                languages=LANGUAGES,
                sessions=plan.sessions,
                seconds=60 * plan.minutes,
                sounds=sounds,
                ramp_s=RAMP_S,
                server_pids=[server.process.pid],
                tell=lambda line: console.print(line, highlight=False, style="dim"),
            )
            try:
                figures = await run(options)
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
            ended_s = memory.total[-1][0]
    return tell(plan, figures, memory, ended_s=ended_s, console=console)


def tell(plan: Plan, figures: Figures, memory: Memory, *, ended_s: float, console: Console) -> int:
    """Print and write the report; returns the exit code."""
    begun_s = max(0.0, ended_s - figures.seconds)
    changes = [
        *flat.memory(memory, begun_s=begun_s, ended_s=ended_s),
        *flat.lag(figures.course, begun_s=begun_s, ended_s=ended_s),
    ]
    not_flat = flat.faults(changes)
    for change in changes:
        if change.flat and change.name.endswith("MB") and change.last < LARGE_MB:
            continue
        console.print(
            f"{change.name}: {change.first:,.1f} → {change.last:,.1f} ({change.growth:+.1%})",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    for name, text in (*report.cost(figures), *report.counts(figures)):
        console.print(f"{name}: {text}", highlight=False, markup=False)
    sections = page.sections(memory, figures.course, changes)
    plan.report.write_text(report.page(figures, more=sections, more_faults=not_flat), encoding="utf-8")
    for fault in (*figures.faults(), *not_flat):
        console.print(f"NOT MET: {fault}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    console.print(f"report: {plan.report}", highlight=False)
    return 1 if not_flat or figures.faults() else 0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--speech", type=Path, default=Path("tests/data"), help="folder with an index.json")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--listeners", type=int, default=LISTENERS)
    parser.add_argument("--report", type=Path, default=Path("var/soak.html"))
    chosen = parser.parse_args()
    plan = Plan(chosen.speech, chosen.minutes, chosen.sessions, chosen.listeners, chosen.report)
    started_s = time.monotonic()
    console = Console()
    code = asyncio.run(soak(plan, console))
    console.print(f"{(time.monotonic() - started_s) / 60:.1f} minutes in all", highlight=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
