"""`babelcast bench load` with a server of its own and scripted engines."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bench.load.crowd import Crowd
from bench.load.figures import Summary
from bench.load.run import LoadOptions
from cli.bench import LoadPlan, load
from cli.outcome import OK
from tests.unit.cli.page import Page


@pytest.mark.parametrize(("processes", "cut"), [(1, True), (2, False)])
async def test_a_run_loses_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    processes: int,
    cut: bool,
) -> None:
    """Listeners in one process, half of them cut in the middle of the talk, or in two; report and figures."""
    talk = Crowd.talk

    def talk_and_cut(self: Crowd) -> None:
        talk(self)
        for seat in self.seats[::2]:
            asyncio.get_running_loop().call_later(2.5, seat.cut)

    if cut:
        monkeypatch.setattr(Crowd, "talk", talk_and_cut)
    page = Page()
    options = LoadOptions(
        urls=[],
        token="",
        listeners=12,
        languages=["es", "fr"],
        seconds=5.0,
        ramp_s=0.5,
        processes=processes,
        control_s=2.0,
    )
    plan = LoadPlan(options, tmp_path / "report.html", as_json=True)
    code = await load(plan, Console(file=page, width=200))
    assert code == OK, page.getvalue()
    said = msgspec.json.decode(capsys.readouterr().out, type=Summary)
    assert said.faults == []
    assert said.counts["reconnects"] == (6 if cut else 0)
    assert said.counts["sentences"] >= 2 and said.counts["voices"] >= 24
    assert said.times_ms["join"]["count"] == 12
    assert {"told", "caption", "voice_last", "spread"} <= said.times_ms.keys()
    assert said.memory_bytes["server"] > 0 and said.cpu_s["server"] > 0
    html = (tmp_path / "report.html").read_text()
    assert html.count("<svg") >= 6 and "http" not in html and "<script" not in html
