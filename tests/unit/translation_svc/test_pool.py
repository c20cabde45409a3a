"""Several workers of one kind."""

import asyncio
import contextlib
import os
import signal
import sys
import time

import pytest

from translation_svc.failures import EngineMissing, EngineTimedOut
from translation_svc.framing import NullTerminated
from translation_svc.pool import WorkerPool
from translation_svc.worker import Deadlines, WorkerProcess

# Answers with its process id.
WHO = """
import os, sys
for message in iter(lambda: b"".join(iter(lambda: sys.stdin.buffer.read(1), b"\\0")), b""):
    sys.stdout.buffer.write(str(os.getpid()).encode() + b"\\0")
    sys.stdout.buffer.flush()
"""


def _pool(*, call_s: float = 20) -> WorkerPool:
    def make() -> WorkerProcess:
        return WorkerProcess(
            "who",
            (sys.executable, "-c", WHO),
            framing=NullTerminated(),
            deadlines=Deadlines(start_s=20, call_s=call_s),
            greet=b"hello",
        )

    return WorkerPool(make, size=2)


async def test_calls_at_once_go_to_different_processes() -> None:
    """And one call after the other to the first, which is warm."""
    async with contextlib.aclosing(_pool()) as pool:
        assert await pool.call(b"a") == await pool.call(b"b")
        assert [worker.starts for worker in pool.workers] == [1, 0]
        assert len(set(await asyncio.gather(*(pool.call(b"c") for _ in range(4))))) == 2


async def test_a_hanging_process_costs_only_the_call_that_met_it() -> None:
    """All others, though they come at once, go to the other one."""
    async with contextlib.aclosing(_pool(call_s=1)) as pool:
        await pool.warm()
        first, second = pool.workers
        assert first.pid is not None
        os.kill(first.pid, signal.SIGSTOP)
        hanging = asyncio.create_task(pool.call(b"a"))
        await asyncio.sleep(0)
        others = await asyncio.gather(*(pool.call(b"b") for _ in range(5)))
        assert set(others) == {str(second.pid).encode()}
        assert not hanging.done()
        with pytest.raises(EngineTimedOut):
            await hanging


async def test_one_that_rests_is_passed_over() -> None:
    """Though it has nothing to do."""
    async with contextlib.aclosing(_pool()) as pool:
        first, second = pool.workers
        first._rests_until = time.monotonic() + 60
        assert {await pool.call(b"a") for _ in range(3)} == {str(second.pid).encode()}
        assert (first.starts, second.starts) == (0, 1)
        second._end_process()
        second._rests_until = time.monotonic() + 60
        with pytest.raises(EngineMissing):
            await pool.call(b"a")
