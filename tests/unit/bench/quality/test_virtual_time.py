"""The loop that skips waits."""

import asyncio
import time
from collections.abc import Coroutine
from typing import TypeVar

import pytest

from bench.quality.virtual_time import VirtualTimeLoop

_T = TypeVar("_T")


def run(main: Coroutine[None, None, _T]) -> _T:
    """Run in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def work(cpu_s: float) -> str:
    """Keep the processor busy."""
    until = time.process_time() + cpu_s
    while time.process_time() < until:
        pass
    return "done"


def test_waits_take_no_time_but_pass_on_the_clock() -> None:
    """Hours of waiting in a moment, in order."""

    async def wait() -> tuple[float, list[int]]:
        loop = asyncio.get_running_loop()
        began, order = loop.time(), []
        async with asyncio.TaskGroup() as tasks:
            for hours in (3, 1, 2):

                async def later(hours: int = hours) -> None:
                    await asyncio.sleep(3600 * hours)
                    order.append(hours)

                tasks.create_task(later())
        return loop.time() - began, order

    began = time.monotonic()
    passed_s, order = run(wait())
    assert 3 * 3600 <= passed_s < 3 * 3600 + 1
    assert order == [1, 2, 3]
    assert time.monotonic() - began < 60


def test_work_takes_its_cpu_time_beside_the_loop() -> None:
    """Two pieces of work at once take as long as one, and others go on meanwhile."""

    async def both() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        first, second = asyncio.to_thread(work, 0.05), asyncio.to_thread(work, 0.05)
        jobs = asyncio.gather(first, second)
        await asyncio.sleep(0.01)
        meanwhile_s = loop.time() - began
        assert set(await jobs) == {"done"}
        return meanwhile_s, loop.time() - began

    meanwhile_s, passed_s = run(both())
    assert meanwhile_s < 0.04
    assert 0.05 <= passed_s < 0.09


def test_errors_of_work_arrive() -> None:
    """As from a thread."""

    async def fail() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)

    run(fail())


def test_waiting_for_nothing_is_an_error() -> None:
    """Rather than a hang."""

    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="nothing is due"):
        run(hang())
