"""What a process takes: memory, CPU, and how late its event loop is."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

MEASURE_EVERY_S: Final = 0.2
PROC: Final = Path("/proc")
CGROUP: Final = Path("/sys/fs/cgroup")
_KIB: Final = 1024


class Family:
    """This process and all that it started, engines among them, as /proc tells. Thread-safe.

    Where there is no /proc, memory is not known and CPU is that of the process alone.
    """

    def __init__(self, proc: Path = PROC, pid: int | None = None) -> None:
        self._proc = proc
        self._pid = pid
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")
        self._lock = threading.Lock()
        self._known: dict[tuple[int, int], int] = {}
        self._ticks = 0

    def memory(self) -> int | None:
        """Resident memory, bytes; what processes share counts in each."""
        pages = [self._pages(pid) for pid in self._pids()]
        return self._page * sum(pages) if any(pages) else None

    def cpu_s(self) -> float:
        """CPU time since the start, s. Never less than before: processes that have ended count on."""
        with self._lock:
            known: dict[tuple[int, int], int] = {}
            for pid in self._pids():
                read = self._times(pid)
                if read is not None:
                    started, ticks = read
                    known[pid, started] = ticks
                    self._ticks += ticks - self._known.get((pid, started), 0)
            # the list of children may leave some out while others end: they are not new when they are back
            known |= {
                who: ticks for who, ticks in self._known.items() if who not in known and self._lives(*who)
            }
            self._known = known
            return self._ticks / self._ticks_per_s if known else time.process_time()

    def _pids(self) -> Iterator[int]:
        waiting = [self._pid or os.getpid()]
        while waiting:
            pid = waiting.pop()
            yield pid
            with contextlib.suppress(OSError):
                for children in (self._proc / str(pid) / "task").glob("*/children"):
                    with contextlib.suppress(OSError):
                        waiting += map(int, children.read_text().split())

    def _pages(self, pid: int) -> int:
        try:
            return int((self._proc / str(pid) / "statm").read_text().split()[1])
        except (OSError, IndexError):  # it has ended meanwhile
            return 0

    def _lives(self, pid: int, started: int) -> bool:
        read = self._times(pid)
        return read is not None and read[0] == started

    def _times(self, pid: int) -> tuple[int, int] | None:
        """When it started and what it has taken, ticks; see proc(5), the name may hold anything."""
        try:
            fields = (self._proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            return int(fields[19]), int(fields[11]) + int(fields[12])
        except (OSError, IndexError):
            return None


def memory_limit(proc: Path = PROC, cgroup: Path = CGROUP) -> int | None:
    """What the container may take, or what the machine has, bytes; None when neither is told."""
    known = [limit for limit in (_machine(proc), *_container(proc, cgroup)) if limit is not None]
    return min(known, default=None)


def _machine(proc: Path) -> int | None:
    with contextlib.suppress(OSError):
        for line in (proc / "meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "MemTotal":
                return int(rest.split()[0]) * _KIB
    return None


def _container(proc: Path, cgroup: Path) -> Iterator[int]:
    """Of cgroups of both versions, from a container's inside or by the process' own path."""
    own = ""
    with contextlib.suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                own = line.removeprefix("0::/")
    for file in (
        cgroup / "memory.max",
        cgroup / own / "memory.max",
        cgroup / "memory" / "memory.limit_in_bytes",
    ):
        with contextlib.suppress(OSError):
            text = file.read_text().strip()
            if text.isdecimal():
                yield int(text)


@contextlib.asynccontextmanager
async def loop_lag_told(tell: Callable[[float], None]) -> AsyncIterator[None]:
    """While inside, `tell` hears five times a second how much later than asked the event loop woke up, s."""
    measuring = asyncio.create_task(_measure(tell), name="loop-lag")
    try:
        yield
    finally:
        measuring.cancel()
        await asyncio.wait([measuring])


async def _measure(tell: Callable[[float], None]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        asked_s = loop.time()
        await asyncio.sleep(MEASURE_EVERY_S)
        tell(max(0.0, loop.time() - asked_s - MEASURE_EVERY_S))
