"""An event loop whose clock skips the waits and counts the work.

A stream at the pace of speech spends most of its time waiting for the next sample. Here those waits take no
time, and work takes its CPU time, so a talk runs as fast as the processor allows and shows the delays of a
machine of its own: one core for the loop and one for each worker. What other processes do hardly shows. Not
simulated are the network and the memory bandwidth that workers take from each other.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_Ready = list[tuple[selectors.SelectorKey, int]]


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs executors' work at once and delivers it when its CPU time has passed on the clock.

    Raises: RuntimeError from `run_…` when everything waits for something that will never happen.
    """

    def __init__(self) -> None:
        self._skipped_s = 0.0
        self._elsewhere_s = 0.0
        super().__init__(_SkippingSelector(self.skip))

    def time(self) -> float:
        """Waits that were skipped and CPU time of this thread, without that of executors' work."""
        return self._skipped_s + time.thread_time() - self._elsewhere_s

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self._skipped_s += seconds

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002 - whoever is asked, the work is done here
        func: Callable[[*_Ts], _T],
        *args: *_Ts,
    ) -> asyncio.Future[_T]:
        """Do the work here and now; the future is done when its CPU time has passed."""
        outcome: asyncio.Future[_T] = self.create_future()
        thread_before, process_before = time.thread_time(), time.process_time()
        try:
            result = func(*args)
        except Exception as error:  # handed on, as an executor does
            outcome.set_exception(error)
            return outcome
        took_s = time.process_time() - process_before
        self._elsewhere_s += time.thread_time() - thread_before
        self.call_later(took_s, _deliver, outcome, result)
        return outcome


class _SkippingSelector(selectors.DefaultSelector):
    """Polls instead of waiting."""

    def __init__(self, skip: Callable[[float], None]) -> None:
        super().__init__()
        self._skip = skip

    def select(self, timeout: float | None = None) -> _Ready:
        """What is ready now; the wait is skipped."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits and nothing is due")
        if not ready and timeout is not None:
            self._skip(max(0.0, timeout))
        return ready


def _deliver(outcome: asyncio.Future[_T], result: _T) -> None:
    if not outcome.done():
        outcome.set_result(result)
