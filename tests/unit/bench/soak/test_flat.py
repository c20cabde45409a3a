"""What counts as flat."""

import math

import pytest

from bench.load.figures import Second
from bench.soak import flat, page
from bench.soak.memory import Grown, Memory


def measured(*processes: tuple[int, int]) -> Memory:
    """Processes that grow evenly from one size to another in 100 s, one sample a second."""
    memory = Memory(1)
    for pid, (first, last) in enumerate(processes, start=1):
        samples = [(float(at_s), round(first + (last - first) * at_s / 100)) for at_s in range(101)]
        memory.processes[pid] = Grown(pid, f"program-{pid}", samples)
    sums = zip(*(grown.samples for grown in memory.processes.values()), strict=True)
    memory.total = [(float(at_s), sum(size for _, size in sizes)) for at_s, sizes in enumerate(sums)]
    return memory


def test_what_stays_is_flat() -> None:
    """Neither the whole nor a process has grown."""
    changes = flat.memory(measured((100_000_000,) * 2, (50_000_000,) * 2), begun_s=0, ended_s=100)
    assert [change.name for change in changes] == [
        "all processes, MB",
        "program-1 (1), MB",
        "program-2 (2), MB",
    ]
    assert flat.faults(changes) == []


def test_a_leak_is_found_although_the_rest_hides_it() -> None:
    """Ten percent in one process is less than five of all; it is named, and the whole is flat."""
    changes = flat.memory(measured((500_000_000,) * 2, (50_000_000, 60_000_000)), begun_s=0, ended_s=100)
    (fault,) = flat.faults(changes)
    assert fault.startswith("program-2 (2), MB went from")


def test_a_leak_of_the_whole_is_found() -> None:
    """Seven processes grow too little each to be named; together they are above five percent."""
    changes = flat.memory(measured(*[(10_000_000, 11_800_000)] * 7), begun_s=0, ended_s=100)
    (fault,) = flat.faults(changes)
    assert fault.startswith("all processes, MB")


def test_small_ones_may_breathe() -> None:
    """A megabyte of a small program is no leak, nor is memory that is given back."""
    memory = measured((3_000_000, 4_000_000), (100_000_000, 50_000_000))
    assert flat.faults(flat.memory(memory, begun_s=0, ended_s=100)) == []


def test_the_warm_up_does_not_count() -> None:
    """What is taken in the first fifth is not held against anybody."""
    memory = measured((100_000_000,) * 2)
    memory.total = [(at_s, size // 2 if at_s < 20 else size) for at_s, size in memory.total]
    assert flat.faults(flat.memory(memory, begun_s=0, ended_s=100)) == []


def test_who_was_not_there_throughout_is_left_out() -> None:
    """A process that ended, or came late, has no first and last third."""
    memory = measured((10_000_000,) * 2, (10_000_000,) * 2, (10_000_000,) * 2)
    memory.processes[2].samples = memory.processes[2].samples[:50]
    memory.processes[3].samples = memory.processes[3].samples[50:]
    names = [change.name for change in flat.memory(memory, begun_s=0, ended_s=100)]
    assert names == ["all processes, MB", "program-1 (1), MB"]


def course(first_ms: float, last_ms: float) -> list[Second]:
    """90 s with a voice and a caption each, of this lag in the first half and that in the second."""
    seconds = []
    for number in range(90):
        second = Second(float(number), seconds=1.0)
        for histogram in (second.voice, second.caption):
            histogram.add(first_ms if number < 45 else last_ms)
        seconds.append(second)
    return seconds


@pytest.mark.parametrize(
    ("last_ms", "faults"), [(600.0, 0), (690.0, 0), (800.0, 2), (1_300.0, 4), (300.0, 0)]
)
def test_lag_may_not_grow(last_ms: float, faults: int) -> None:
    """A tenth of a second is noise; more than that in the median, or twice that in p95, is growth."""
    assert len(flat.faults(flat.lag(course(600.0, last_ms), begun_s=0, ended_s=90))) == faults


def test_a_lag_that_nobody_measured_is_not_flat() -> None:
    """No voice in a third of the talk is a failure, and not a pass."""
    silent = [Second(float(number), seconds=1.0) for number in range(90)]
    changes = flat.lag(silent, begun_s=0, ended_s=90)
    assert all(math.isnan(change.last) for change in changes)
    assert len(flat.faults(changes)) == 4


def test_the_page_needs_nobody_else() -> None:
    """Charts and tables without a script, a style sheet or an address; what is not flat is marked."""
    memory = measured((50_000_000, 90_000_000))
    changes = flat.memory(memory, begun_s=0, ended_s=100)
    written = "".join(page.sections(memory, course(600, 600), changes))
    assert written.count("<svg") == 4
    assert "class=bad" in written
    assert "http" not in written
    assert "<script" not in written
