"""What a process takes."""

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from babelcast.telemetry import process
from babelcast.telemetry.process import Family, loop_lag_told, memory_limit

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


class Proc:
    """A /proc of our own making."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, pid: int, *, pages: int, ticks: int, children: str = "", started: int = 5) -> None:
        """A process, with a name that is hard to read."""
        folder = self.root / str(pid)
        (folder / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
        (folder / "task" / str(pid) / "children").write_text(children)
        (folder / "statm").write_text(f"9999 {pages} 1 1 0 1 0")
        fields = ["S", *["0"] * 10, str(ticks - 1), "1", *["0"] * 6, str(started), "0"]
        (folder / "stat").write_text(f"{pid} (a ) b) {' '.join(fields)}")

    def end(self, pid: int) -> None:
        """It has ended; its folder is still listed, as for a moment in the real one."""
        (self.root / str(pid) / "stat").unlink()
        (self.root / str(pid) / "statm").unlink()


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    """A process with a child and a grandchild."""
    made = Proc(tmp_path / "proc")
    made.put(1, pages=10, ticks=100, children="2 ")
    made.put(2, pages=20, ticks=50, children="3 ")
    made.put(3, pages=30, ticks=25)
    return made


def test_engines_count_with_their_service(proc: Proc) -> None:
    """Memory and CPU are those of all processes that it started."""
    family = Family(proc.root, pid=1)
    assert family.memory() == 60 * PAGE
    assert family.cpu_s() == 175 / TICKS


def test_cpu_never_goes_back(proc: Proc) -> None:
    """What an engine took counts on when it has ended, and one in its place counts from its start."""
    family = Family(proc.root, pid=1)
    assert family.cpu_s() == 175 / TICKS
    proc.end(3)
    proc.put(1, pages=10, ticks=110, children="2 ")
    assert family.cpu_s() == 185 / TICKS
    proc.put(3, pages=30, ticks=7, started=99)
    assert family.cpu_s() == 192 / TICKS
    assert family.memory() == 60 * PAGE


def test_a_child_that_was_left_out_is_not_new(proc: Proc) -> None:
    """The kernel's list may leave processes out while others end: what they took counts once."""
    family = Family(proc.root, pid=1)
    assert family.cpu_s() == 175 / TICKS
    proc.put(2, pages=20, ticks=50, children="")
    assert family.cpu_s() == 175 / TICKS
    proc.put(2, pages=20, ticks=50, children="3 ")
    proc.put(3, pages=30, ticks=26)
    assert family.cpu_s() == 176 / TICKS


def test_without_proc_memory_is_not_known(tmp_path: Path) -> None:
    """CPU is known all the same."""
    family = Family(tmp_path / "none")
    assert family.memory() is None
    assert family.cpu_s() > 0


def test_a_real_process_and_its_child() -> None:
    """By the real /proc, a child's memory counts."""
    family = Family()
    alone = family.memory()
    with subprocess.Popen(
        [sys.executable, "-c", "data = b'x' * 60_000_000; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        together = family.memory()
        child.communicate(b"\n")
    assert alone is not None and together is not None
    assert together > alone + 50_000_000


def test_the_containers_limit_counts_before_the_machines(tmp_path: Path) -> None:
    """The least of all that is told, by cgroups of either version, from inside a container or not."""
    machine, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    assert memory_limit(machine, cgroup) is None
    machine.mkdir()
    (machine / "meminfo").write_text("MemFree: 1 kB\nMemTotal:  4 kB\n")
    assert memory_limit(machine, cgroup) == 4096
    cgroup.mkdir()
    (cgroup / "memory.max").write_text("max\n")
    assert memory_limit(machine, cgroup) == 4096
    (machine / "self").mkdir()
    (machine / "self" / "cgroup").write_text("0::/a.slice/b\n")
    (cgroup / "a.slice" / "b").mkdir(parents=True)
    (cgroup / "a.slice" / "b" / "memory.max").write_text("3000\n")
    assert memory_limit(machine, cgroup) == 3000
    (cgroup / "memory").mkdir()
    (cgroup / "memory" / "memory.limit_in_bytes").write_text("2000\n")
    assert memory_limit(machine, cgroup) == 2000


async def test_a_busy_loop_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much later than asked the loop wakes up is told, until the block is left."""
    monkeypatch.setattr(process, "MEASURE_EVERY_S", 0.01)
    told: list[float] = []
    came = asyncio.Event()

    def tell(lag_s: float) -> None:
        told.append(lag_s)
        came.set()

    async with loop_lag_told(tell):
        await came.wait()
        told.clear()
        came.clear()
        _spin_s(0.1)
        await came.wait()
    assert 0.05 < told[0] < 5
    count = len(told)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.Event().wait()
    assert len(told) == count


def _spin_s(seconds: float) -> None:
    until_s = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until_s:
        pass
