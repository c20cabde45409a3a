"""Memory of a real family of processes."""

import os
import subprocess
import sys
import time

from bench.soak import memory

CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=0)
print(child.pid, flush=True)
child.wait()
"""


def test_all_descendants_are_measured() -> None:
    """A process that a child started counts with both; whoever is gone does not."""
    started = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    grandchild = int(started.stdout.readline())
    measured = memory.Memory(started.pid)
    measured.sample(time.monotonic())
    assert {started.pid, grandchild} <= set(measured.processes)
    assert os.getpid() not in measured.processes
    assert measured.total[0][1] == sum(grown.samples[0][1] for grown in measured.processes.values())
    assert all(size > 1_000_000 for _, size in measured.processes[grandchild].samples)
    started.communicate("\n")
    assert memory.family(started.pid) == set()
    assert memory.rss_of(grandchild) == 0


def test_a_process_is_named_by_what_it_does() -> None:
    """The program and its words, without paths and without what may be a secret's value."""
    started = subprocess.Popen(
        [sys.executable, "-c", "print(); input()", "worker", "TOKEN=abc"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert started.stdout is not None
    started.stdout.readline()  # until then it may still be a copy of this process
    name = memory.name_of(started.pid)
    started.communicate(b"\n")
    assert name.startswith("python")
    assert name.endswith("worker")
