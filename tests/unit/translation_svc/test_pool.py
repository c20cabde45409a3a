"""Several workers of one kind."""

import asyncio
import contextlib
import os
import signal
import sys

import pytest

from translation_svc.failures import EngineTimedOut
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
