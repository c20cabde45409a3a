"""The memory of a server's processes over time, by /proc."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
EVERY_S = 2.0
_PAGE_BYTES = 4096


@dataclass(slots=True)
class Grown:
    """One process: what it is, and its resident bytes by s since the beginning."""

    pid: int
    name: str
    samples: list[tuple[float, int]] = field(default_factory=list)


@dataclass(slots=True)
class Memory:
    """All processes of a family, those that ended included."""

    root: int
    started_s: float = field(default_factory=time.monotonic)
    processes: dict[int, Grown] = field(default_factory=dict)
    total: list[tuple[float, int]] = field(default_factory=list)

    def sample(self, now_s: float) -> None:
        """Look at all of them."""
        at_s, total = now_s - self.started_s, 0
        for pid in family(self.root):
            resident = rss_of(pid)
            if resident:
                grown = self.processes.setdefault(pid, Grown(pid, name_of(pid)))
                grown.samples.append((at_s, resident))
                total += resident
        self.total.append((at_s, total))

    async def watch(self) -> None:
        """Look every EVERY_S, until it is cancelled."""
        while True:
            self.sample(time.monotonic())
            await asyncio.sleep(EVERY_S)


def family(root: int) -> set[int]:
    """A process and all that it started, and these started."""
    parents: Mapping[int, int] = {pid: parent_of(pid) for pid in _pids()}
    found = {root} & set(parents)
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found


def parent_of(pid: int) -> int:
    """Who started it; 0 when it is gone."""
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def rss_of(pid: int) -> int:
    """Resident bytes; 0 when it is gone."""
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def name_of(pid: int) -> str:
    """The program, and what it was told to be: enough to tell processes of a server apart."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "gone"
    shown = [Path(words[0]).name, *(Path(word).name for word in words[1:] if word and "=" not in word)]
    return " ".join(shown)[:60]


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
