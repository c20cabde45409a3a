"""Worker processes, real ones."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from translation_svc.failures import EngineDied, EngineMissing, EnginePoisoned, EngineTimedOut
from translation_svc.framing import NullTerminated
from translation_svc.turns import Urgency
from translation_svc.worker import Deadlines, WorkerProcess

# Echoes in capitals. "die" and "die too" end it, "die once" only in its first life, "hang" stops its answers.
ECHO = """
import os, sys, time
lives = sys.argv[1] if len(sys.argv) > 1 else ""
if lives:
    open(lives, "a").write("x")
for message in iter(lambda: b"".join(iter(lambda: sys.stdin.buffer.read(1), b"\\0")), b""):
    if message in (b"die", b"die too") or (message == b"die once" and os.path.getsize(lives) == 1):
        os._exit(1)
    if message == b"hang":
        time.sleep(60)
    sys.stdout.buffer.write(message.upper() + b"\\0")
    sys.stdout.buffer.flush()
"""


PATIENT = Deadlines(start_s=20, call_s=20)


@asynccontextmanager
async def _worker(
    *arguments: str,
    code: str = ECHO,
    deadlines: Deadlines = PATIENT,
    on_rest: Callable[[float], None] | None = None,
    clock: Callable[[], float] = lambda: 0.0,
    command: Sequence[str] = (),
) -> AsyncIterator[WorkerProcess]:
    worker = WorkerProcess(
        "echo",
        command or (sys.executable, "-c", code, *arguments),
        framing=NullTerminated(),
        deadlines=deadlines,
        greet=b"hello",
        on_rest=on_rest,
        clock=clock,
    )
    try:
        yield worker
    finally:
        async with asyncio.timeout(10):
            await worker.aclose()


def _gone(pid: int) -> bool:
    """Neither running nor a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_it_starts_once_and_answers_in_turn() -> None:
    """Many callers share one process, and each gets its own answer."""
    async with _worker() as worker:
        answers = await asyncio.gather(
            *(worker.call(str(n).encode() + b"a", urgency=Urgency.PARTIAL) for n in range(20))
        )
        assert answers == [f"{n}A".encode() for n in range(20)]
        assert worker.starts == 1


async def test_a_call_whose_process_dies_is_repeated_once(tmp_path: Path) -> None:
    """The caller notices nothing but the time."""
    async with _worker(str(tmp_path / "lives")) as worker:
        assert await worker.call(b"die once") == b"DIE ONCE"
        assert worker.starts == 2


async def test_a_call_that_kills_every_process_fails_and_the_next_one_works() -> None:
    """Twice is enough."""
    async with _worker() as worker:
        with pytest.raises(EngineDied):
            await worker.call(b"die")
        assert await worker.call(b"well") == b"WELL"
        assert worker.starts == 3


async def test_what_killed_two_processes_is_not_tried_again() -> None:
    """When it is sent anew it fails at once, and nothing is started for it; after ten minutes it is."""
    now = 0.0
    async with _worker(clock=lambda: now) as worker:
        with pytest.raises(EngineDied):
            await worker.call(b"die")
        assert await worker.call(b"well") == b"WELL"
        starts = worker.starts
        with pytest.raises(EnginePoisoned):
            await worker.call(b"die")
        assert await worker.call(b"well") == b"WELL"
        assert worker.starts == starts
        now = 600.0
        with pytest.raises(EngineDied):
            await worker.call(b"die")


async def test_what_hung_twice_is_not_tried_again() -> None:
    """The third time it costs no deadline; once was not enough to be given up."""
    async with _worker(deadlines=Deadlines(start_s=20, call_s=0.3)) as worker:
        for _ in range(2):
            with pytest.raises(EngineTimedOut):
                await worker.call(b"hang")
            assert await worker.call(b"well") == b"WELL"
        with pytest.raises(EnginePoisoned):
            await worker.call(b"hang")


async def test_a_worker_that_fails_all_the_time_rests_though_some_calls_succeed() -> None:
    """Ten failures within a minute are too many, also when none follow each other closely."""
    now = 0.0
    rests: list[float] = []
    async with _worker(on_rest=rests.append, clock=lambda: now) as worker:
        for _ in range(10):
            await worker.warm()
            worker._failed()  # as by a call that took its process along
            worker._failures = 0  # ... and one that succeeded after it
            now += 5.0
        assert rests == [15.0]  # until the first of them is a minute ago
        with pytest.raises(EngineMissing):
            await worker.call(b"well")
        now = 60.0
        assert await worker.call(b"well") == b"WELL"


async def test_a_process_killed_while_idle_is_replaced() -> None:
    """Before anybody notices."""
    async with _worker() as worker:
        await worker.warm()
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert await worker.call(b"well") == b"WELL"
        assert worker.pid != first
    assert _gone(first)


async def test_a_hanging_process_is_ended_and_replaced() -> None:
    """After the deadline; the late answer is never taken for the next call's."""
    async with _worker(deadlines=Deadlines(start_s=20, call_s=0.3)) as worker:
        await worker.warm()
        first = worker.pid
        assert first is not None
        with pytest.raises(EngineTimedOut):
            await worker.call(b"hang")
        assert worker.pid is None
        assert await worker.call(b"well") == b"WELL"
    assert _gone(first)


async def test_cancelling_a_call_replaces_the_process() -> None:
    """The next caller gets its own answer."""
    async with _worker() as worker:
        await worker.warm()
        first = worker.pid
        call = asyncio.create_task(worker.call(b"hang"))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await worker.call(b"well") == b"WELL"
        assert worker.pid != first


async def test_after_three_failures_it_rests_and_comes_back() -> None:
    """Calls fail at once meanwhile, and the rest is announced and grows."""
    now = 0.0
    rests: list[float] = []
    async with _worker(on_rest=rests.append, clock=lambda: now) as worker:
        with pytest.raises(EngineDied):
            await worker.call(b"die")
        with pytest.raises(EngineMissing):
            await worker.call(b"die too")
        starts = worker.starts
        with pytest.raises(EngineMissing):
            await worker.call(b"well")
        assert worker.starts == starts
        assert rests == [1.0]
        now = 1.0
        assert await worker.call(b"well") == b"WELL"


async def test_a_program_that_is_not_there_is_missing() -> None:
    """Not an exception of the operating system."""
    async with _worker(command=("/nonexistent/engine",)) as worker:
        with pytest.raises(EngineMissing):
            await worker.warm()


async def test_a_program_that_ends_at_once_or_never_gets_ready_is_reported() -> None:
    """Each with its own failure."""
    async with _worker(code="") as worker:
        with pytest.raises((EngineMissing, EngineDied)):
            await worker.call(b"x")
    async with _worker(
        code="import time; time.sleep(60)", deadlines=Deadlines(start_s=0.2, call_s=20)
    ) as worker:
        with pytest.raises(EngineTimedOut):
            await worker.warm()


async def test_a_closed_worker_stays_closed() -> None:
    """And its process is gone."""
    async with _worker() as worker:
        await worker.warm()
        pid = worker.pid
        assert pid is not None
        await worker.aclose()
        await worker.aclose()
        assert _gone(pid)
        with pytest.raises(EngineMissing):
            await worker.call(b"x")


async def test_a_process_that_ignores_termination_is_killed_with_its_children(tmp_path: Path) -> None:
    """The whole group."""
    child = tmp_path / "child"
    code = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.DEVNULL)
open({str(child)!r}, "w").write(str(process.pid))
sys.stdout.buffer.write(b"ready\\0"); sys.stdout.buffer.flush()
time.sleep(60)
"""
    async with _worker(code=code) as worker:
        await worker.warm()
        watch = os.pidfd_open(int(child.read_text()))
        assert select.select([watch], [], [], 0)[0] == []
    assert select.select([watch], [], [], 10)[0] == [watch]
    os.close(watch)
