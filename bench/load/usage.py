"""What processes use, by /proc: memory, and CPU time with all that they started."""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.load.crowd import rss_bytes


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far, and memory in bytes."""

    cpu_s: float
    rss_bytes: int


def of(pids: list[int]) -> Usage:
    """Of these processes and their children together; those that are gone use nothing."""
    parents: dict[int, int] = {}
    cpu: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        cpu[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family = {pid for pid in pids if pid in cpu}
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in family} - family
        family |= children
        grown = bool(children)
    return Usage(sum(cpu[pid] for pid in family), sum(rss_bytes(pid) for pid in family))
