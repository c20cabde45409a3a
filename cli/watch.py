"""`babelcast watch`: the figures of the first 24 hours, and whether they call for a rollback."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

import msgspec
from rich.console import Console
from rich.text import Text

from babelcast.errors import ServiceUnavailable
from cli import figures
from cli.figures import Figure, Trigger, Unit, at
from cli.prometheus import Prometheus, Sample

OVER_S: Final = 3600
BEFORE_S: Final = 86_400


class Ending(IntEnum):
    """Exit codes."""

    WELL = 0
    ROLL_BACK = 1
    UNKNOWN = 2
    MISSED = 3


class State(StrEnum):
    """What is to be said of a line."""

    OK = "ok"
    MISSED = "missed"
    ROLL_BACK = "ROLL BACK"
    QUIET = "quiet"
    """Nothing of the kind happened."""
    MISSING = "NO DATA"
    """It happened, or always does, and nothing tells of it."""


_NUMBERS: Final = {2, 3}
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLOURS: Final = {
    State.OK: "green",
    State.MISSED: "yellow",
    State.ROLL_BACK: "bold red",
    State.QUIET: "dim",
    State.MISSING: "bold magenta",
}


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """Whom to ask, over which span, and compared with the span that ended so long before; s."""

    prometheus: str
    over_s: int = OVER_S
    before_s: int = BEFORE_S


class Line(msgspec.Struct, frozen=True):
    """One figure of one series, or one trigger."""

    kind: str
    name: str
    of: str
    state: State
    value: float | None = None
    before: float | None = None
    limit: float | None = None
    is_least: bool = False
    """Whether the limit is the least that may be, not the most."""
    unit: str = ""
    about: str = ""


class Watched(msgspec.Struct):
    """All of it, as `--json` prints it."""

    prometheus: str
    over_s: int
    before_s: int
    verdict: str = ""
    figures: list[Line] = []
    triggers: list[Line] = []
    alarms_missing: list[str] = []
    """Of the checklist's alarms, those that there is no sound rule for."""
    fired: list[str] = []
    """Alerts that fired within the span, over by now or not."""
    error: str = ""

    @property
    def ending(self) -> Ending:
        """The exit code: a rollback is more urgent than what is not known."""
        states = {line.state for line in (*self.figures, *self.triggers)}
        if State.ROLL_BACK in states:
            return Ending.ROLL_BACK
        if self.error or self.alarms_missing or State.MISSING in states:
            return Ending.UNKNOWN
        return Ending.MISSED if State.MISSED in states else Ending.WELL


async def watch(options: WatchOptions) -> Watched:
    """Ask for everything. What cannot be asked is the answer's `error`."""
    watched = Watched(options.prometheus, options.over_s, options.before_s)
    try:
        async with Prometheus.at(options.prometheus) as prometheus, asyncio.TaskGroup() as group:
            all_figures = [group.create_task(_figure(each, prometheus, options)) for each in figures.FIGURES]
            triggers = [group.create_task(_trigger(each, prometheus, options)) for each in figures.TRIGGERS]
            alarms = group.create_task(prometheus.alerts())
            fired = group.create_task(prometheus.ask(_now(figures.FIRED, options)))
        watched.figures = [line for task in all_figures for line in task.result()]
        watched.triggers = [line for task in triggers for line in task.result()]
        watched.alarms_missing = [
            name for name in figures.ALARMS if alarms.result().get(name) not in {"ok", "unknown"}
        ]
        watched.fired = sorted(sample.labels.get("alertname", "") for sample in fired.result())
    except* ServiceUnavailable as group_of_errors:
        watched.error = _first(group_of_errors)
    watched.verdict = watched.ending.name.lower().replace("_", " ")
    return watched


def judged(
    figure: Figure, now: Sequence[Sample], before: Sequence[Sample], *, happened: bool
) -> Sequence[Line]:
    """The lines of a figure, one for each of its series."""
    if not any(sample.is_number for sample in now):
        state = State.MISSING if happened and not figure.optional else State.QUIET
        return [Line(figure.kind, figure.name, "", state, unit=figure.unit)]
    earlier = {_of(sample.labels): sample.value for sample in before if sample.is_number}
    lines = []
    for sample in sorted(now, key=lambda sample: _of(sample.labels)):
        of = _of(sample.labels)
        was = earlier.get(of)
        if not sample.is_number:
            lines.append(Line(figure.kind, figure.name, of, State.QUIET, before=was, unit=figure.unit))
            continue
        limit, good = _held_against(figure, sample.value, was)
        lines.append(
            Line(
                figure.kind,
                figure.name,
                of,
                State.OK if good else State.MISSED,
                sample.value,
                was,
                limit,
                is_least=figure.at_most is None,
                unit=figure.unit,
            )
        )
    return lines


def seconds(text: str) -> int:
    """A duration such as 24h, 30m, 90s or 1d, as seconds.

    Raises: ValueError when it is none.
    """
    found = _DURATION.fullmatch(text)
    if not found or not int(found[1]):
        raise ValueError(f"{text!r} is no duration such as 24h, 30m or 90s")
    return int(found[1]) * _UNITS_S[found[2]]


def called_for(trigger: Trigger, now: Sequence[Sample]) -> Sequence[Line]:
    """What a trigger says, one line for each series that is above its limit, else one."""
    numbers = [sample for sample in now if sample.is_number]
    met = [sample for sample in numbers if sample.value > trigger.limit]
    if not met:
        absent = not numbers and not trigger.may_be_absent
        most = max((sample.value for sample in numbers), default=None)
        state = State.MISSING if absent else State.OK
        return [_trigger_line(trigger, state, "", most)]
    return [_trigger_line(trigger, State.ROLL_BACK, _of(one.labels), one.value) for one in met]


def show(watched: Watched, console: Console) -> None:
    """Print tables for people."""
    rows = [
        (line.name, line.of, _amount(line.value, line.unit), _amount(line.before, line.unit), _target(line))
        for line in watched.figures
    ]
    heads = ("figure", "of", "now", "before", "target")
    wide = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    console.print(f"{'':10}{_columns(heads, wide)}", style="bold", soft_wrap=True, markup=False)
    for line, row in zip(watched.figures, rows, strict=True):
        state = (f"{line.state:10}", _COLOURS[line.state])
        console.print(Text.assemble(state, _columns(row, wide)), soft_wrap=True)
    console.print()
    for line in watched.triggers:
        amount = f"{_amount(line.value, line.unit)} {line.about}" if line.value is not None else "none"
        of = f" ({line.of})" if line.of else ""
        words = f"  {line.name}{of}: {amount}; more than {_amount(line.limit, line.unit)} is too much"
        console.print(Text.assemble((line.state, _COLOURS[line.state]), words), soft_wrap=True)
    if watched.fired:
        console.print(f"fired in the span: {', '.join(watched.fired)}", soft_wrap=True, markup=False)
    if watched.alarms_missing:
        console.print(f"NO RULES for {', '.join(watched.alarms_missing)}", soft_wrap=True, markup=False)
    if watched.error:
        console.print(watched.error, soft_wrap=True, markup=False)
    console.print(watched.verdict, style="bold", markup=False)


async def _figure(figure: Figure, prometheus: Prometheus, options: WatchOptions) -> Sequence[Line]:
    now = await prometheus.ask(_now(figure.expr, options))
    earlier = at(figure.expr, over_s=options.over_s, before_s=options.before_s, ago=True)
    before = await prometheus.ask(earlier)
    happened = True
    if figure.happens:
        signs = await prometheus.ask(_now(figure.happens, options))
        happened = any(sign.is_number and sign.value > 0 for sign in signs)
    return judged(figure, now, before, happened=happened)


async def _trigger(trigger: Trigger, prometheus: Prometheus, options: WatchOptions) -> Sequence[Line]:
    return called_for(trigger, await prometheus.ask(_now(trigger.expr, options)))


def _now(expression: str, options: WatchOptions) -> str:
    return at(expression, over_s=options.over_s, before_s=options.before_s)


def _held_against(figure: Figure, value: float, was: float | None) -> tuple[float | None, bool]:
    """The limit that counts, and whether it is kept."""
    if figure.at_most is not None:
        return figure.at_most, value <= figure.at_most
    if figure.at_least is not None:
        return figure.at_least, value >= figure.at_least
    if figure.least_of_before is not None and was is not None:
        return figure.least_of_before * was, value >= figure.least_of_before * was
    return None, True


def _trigger_line(trigger: Trigger, state: State, of: str, value: float | None) -> Line:
    return Line(
        "rollback",
        trigger.name,
        of,
        state,
        value=value,
        limit=trigger.limit,
        unit=trigger.unit,
        about=trigger.about,
    )


def _of(labels: Mapping[str, str]) -> str:
    return " ".join(value for name, value in sorted(labels.items()) if name != "__name__")


def _columns(row: Sequence[str], wide: Sequence[int]) -> str:
    """Aligned, numbers to the right."""
    return "  ".join(
        f"{cell:>{width}}" if number in _NUMBERS else f"{cell:{width}}"
        for number, (cell, width) in enumerate(zip(row, wide, strict=True))
    ).rstrip()


def _target(line: Line) -> str:
    if line.limit is None:
        return ""
    return f"{'≥' if line.is_least else '≤'} {_amount(line.limit, line.unit)}"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    match unit:
        case Unit.SECONDS:
            return f"{value:.3f} s" if value < 1 else f"{value:.2f} s"
        case Unit.SHARE:
            return f"{100 * value:.2f} %"
        case Unit.PER_HOUR:
            return f"{value:,.0f} /h"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _first(group: BaseExceptionGroup[ServiceUnavailable]) -> str:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return str(found)
