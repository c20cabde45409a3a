"""How figures are judged, and how a watch speaks to people."""

from math import nan

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from babelcast.errors import ServiceUnavailable
from cli import figures, watch
from cli.figures import Figure, Kind, Trigger, Unit
from cli.prometheus import Prometheus, Sample
from cli.watch import Ending, Line, State, Watched, called_for, judged
from tests.unit.cli.page import Page

LATENCY = Figure(Kind.LATENCY, "lag", "", Unit.SECONDS, at_most=5, happens="talk")
LOAD = Figure(Kind.THROUGHPUT, "load", "", Unit.PER_HOUR, least_of_before=0.5)
ERRORS = Trigger("errors", "", Unit.SHARE, 0.05, "are faults", may_be_absent=False)


def one(value: float, **labels: str) -> list[Sample]:
    """The answer with one series."""
    return [Sample(labels, value)]


def states(lines: object) -> list[State]:
    """Of all lines."""
    assert isinstance(lines, list)
    return [line.state for line in lines]


@pytest.mark.parametrize(
    ("now", "happened", "state"),
    [
        (one(4.9), True, State.OK),
        (one(5.0), True, State.OK),
        (one(5.1), True, State.MISSED),
        (one(nan), False, State.QUIET),
        (one(nan), True, State.MISSING),
        ([], False, State.QUIET),
        ([], True, State.MISSING),
    ],
)
def test_a_figure_is_held_against_its_target(now: list[Sample], happened: bool, state: State) -> None:
    """What happens and nobody tells of is no good sign; what does not happen is no bad one."""
    assert states(judged(LATENCY, now, [], happened=happened)) == [state]


def test_series_are_compared_with_themselves_before() -> None:
    """By their labels; one that is new has nothing to be compared with."""
    now = [*one(10, kind="voice"), *one(40, kind="caption"), *one(1, kind="new")]
    before = [*one(100, kind="caption"), *one(10, kind="voice"), *one(nan, kind="new")]
    lines = judged(LOAD, now, before, happened=True)
    assert [(line.of, line.state, line.before) for line in lines] == [
        ("caption", State.MISSED, 100),
        ("new", State.OK, None),
        ("voice", State.OK, 10),
    ]


@given(values=st.lists(st.floats(0, 1), min_size=1))
def test_a_trigger_is_met_by_any_series_above_its_limit(values: list[float]) -> None:
    """And names each of them."""
    lines = called_for(ERRORS, [Sample({"job": str(n)}, value) for n, value in enumerate(values)])
    above = [str(n) for n, value in enumerate(values) if value > ERRORS.limit]
    assert [line.of for line in lines if line.state is State.ROLL_BACK] == above
    assert above or states(lines) == [State.OK]


def test_a_trigger_that_knows_nothing_is_not_well() -> None:
    """Unless no answer is a good one."""
    assert states(called_for(ERRORS, [])) == [State.MISSING]
    assert states(called_for(_lenient(), [])) == [State.OK]


def _lenient() -> Trigger:
    return Trigger("alarm", "", Unit.NUMBER, 0, "fires")


def watched(*lines: Line, **more: object) -> Watched:
    """One with these figures."""
    return msgspec.structs.replace(Watched("http://p", 3600, 86_400, figures=list(lines)), **more)


def test_a_rollback_is_more_urgent_than_what_is_not_known() -> None:
    """The exit code is that of the worst."""
    missed = Line("latency", "lag", "", State.MISSED)
    missing = Line("latency", "lag", "", State.MISSING)
    met = Line("rollback", "errors", "", State.ROLL_BACK)
    assert watched().ending is Ending.WELL
    assert watched(missed).ending is Ending.MISSED
    assert watched(missed, missing).ending is Ending.UNKNOWN
    assert watched(missed, missing, met).ending is Ending.ROLL_BACK
    assert watched(error="nobody there").ending is Ending.UNKNOWN
    assert watched(alarms_missing=["HighLatency"]).ending is Ending.UNKNOWN


def test_people_read_what_is_wrong(console: Console, page: Page) -> None:
    """Figures with their target, triggers with their limit, and the verdict at the end."""
    found = Watched(
        "http://p",
        3600,
        86_400,
        verdict="roll back",
        figures=[
            *judged(LATENCY, one(6.25, kind="voice"), one(1.5, kind="voice"), happened=True),
            *judged(LOAD, one(1234), [], happened=True),
        ],
        triggers=[*called_for(ERRORS, one(0.081, job="session")), *called_for(_lenient(), [])],
        alarms_missing=["HighLatency"],
        fired=["LatencyDoubled"],
        error="cannot be asked",
    )
    watch.show(found, console)
    lines = page.getvalue().splitlines()
    assert any(
        line.split() == ["missed", "lag", "voice", "6.25", "s", "1.50", "s", "≤", "5.00", "s"]
        for line in lines
    )
    assert "1,234 /h" in page.getvalue()
    assert "ROLL BACK  errors (session): 8.10 % are faults; more than 5.00 % is too much" in lines
    assert "ok  alarm: none; more than 0 is too much" in lines
    assert "fired in the span: LatencyDoubled" in lines
    assert "NO RULES for HighLatency" in lines
    assert lines[-1] == "roll back"


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86_400), ("2d", 172_800)])
def test_durations(text: str, seconds: int) -> None:
    """As Prometheus writes them."""
    assert watch.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "24", "h", "1h30m", "-1h"])
def test_what_is_no_duration(text: str) -> None:
    """None, no unit, more than one."""
    with pytest.raises(ValueError, match="no duration"):
        watch.seconds(text)


def test_spans_are_put_in() -> None:
    """Now, and the same span before."""
    assert figures.at("x[$over]$ago", over_s=60, before_s=120) == "x[60s]"
    assert figures.at("x[$over]$ago", over_s=60, before_s=120, ago=True) == "x[60s] offset 120s"
    assert figures.at("x[$over] offset $before", over_s=60, before_s=120) == "x[60s] offset 120s"


async def test_answers_that_are_none_are_named() -> None:
    """A refusal, a fault and a page of something else are errors with the address."""
    application = web.Application()

    async def answer(request: web.Request) -> web.Response:
        status = int(request.query["query"])
        return web.Response(status=status, text="parse error" if status == 400 else "<html>")

    application.router.add_get("/api/v1/query", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with Prometheus.at(f"{url}/") as prometheus:
        for status, words in (("200", "cannot be asked"), ("500", "cannot be asked"), ("400", "parse error")):
            with pytest.raises(ServiceUnavailable, match=words):
                await prometheus.ask(status)
    await runner.cleanup()
