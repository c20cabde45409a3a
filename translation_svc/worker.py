"""One process that does one thing at a time for us, over pipes."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from translation_svc.failures import (
    EngineDied,
    EngineFailure,
    EngineMissing,
    EnginePoisoned,
    EngineTimedOut,
)
from translation_svc.framing import MAX_FRAME_BYTES, Framing
from translation_svc.poison import Poison
from translation_svc.turns import Turns, Urgency

log = logging.getLogger(__name__)

_TERMINATION_GRACE_S = 1.0
_FAILURES_BEFORE_REST = 3
_LONGEST_REST_S = 30.0
_FAILURE_BUDGET, _BUDGET_PERIOD_S = 10, 60.0
_SOURCE_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a worker may take, s."""

    start_s: float = 30.0
    call_s: float = 3.0


def python_worker(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a worker module of ours; its first argument is our process id."""
    return (sys.executable, "-m", module, str(os.getpid()), *arguments)


def environment() -> dict[str, str]:
    """The environment of a worker: ours, in UTF-8, with our own packages importable from anywhere."""
    paths = [str(_SOURCE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONPATH": os.pathsep.join(paths)}


class WorkerProcess:
    """Starts a process when first needed, keeps it, and starts it again after it died or hung.

    `greet` is sent after the start, or None when the worker speaks first; the first answer means ready.
    Calls wait for their turn, finals before partials. A call's deadline runs from its turn. Calls are pure,
    so one whose process died is repeated once on a fresh process; one that timed out or was cancelled is not,
    and its process is ended, since its answer would be taken for the next one's. What killed the process or
    let it hang twice is not tried again (`Poison`).

    After three failures in a row the worker rests for 1, 2, 4 … 30 s, calls fail at once, and `on_rest` is
    told for how long. It rests as well when it failed ten times within a minute, whatever went well between.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        framing: Framing,
        deadlines: Deadlines,
        greet: bytes | None = None,
        on_rest: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        poison: Poison | None = None,
    ) -> None:
        """`poison` is shared by workers that do the same work."""
        self.name = name
        self.starts = 0
        self._command = tuple(command)
        self._framing = framing
        self._deadlines = deadlines
        self._greet = greet
        self._on_rest = on_rest
        self._clock = clock
        self._turns = Turns()
        self._process: Process | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._poison = poison or Poison(clock=clock)
        self._failures = 0
        self._failed_at: deque[float] = deque(maxlen=_FAILURE_BUDGET)
        self._rests_until = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id while it runs. It also leads its process group."""
        return self._process.pid if self._process is not None else None

    @property
    def load(self) -> int:
        """How many calls are under way or wait."""
        return self._turns.load

    @property
    def rests(self) -> bool:
        """Whether it failed so often that calls fail at once for a while."""
        return self._process is None and self._clock() < self._rests_until

    async def warm(self) -> None:
        """Start now rather than at the first call. Raises: EngineFailure."""
        async with self._turns.turn(Urgency.FINAL):
            await self._started()

    async def call(self, payload: bytes, *, urgency: Urgency = Urgency.FINAL) -> bytes:
        """One request, one answer. Raises: EngineFailure."""
        async with self._turns.turn(urgency):
            if self._poison.is_known(payload):
                raise EnginePoisoned(self.name)
            try:
                answer = await self._exchange(payload)
            except EngineDied:
                if self._poison.is_known(payload):
                    raise
                answer = await self._exchange(payload)
            self._failures = 0
            self._poison.succeeded(payload)
            return answer

    async def aclose(self) -> None:
        """End the process and wait until it has gone; idempotent."""
        self._closed = True
        self._end_process()
        while self._ending:
            await asyncio.gather(*self._ending)

    async def _exchange(self, payload: bytes) -> bytes:
        process = await self._started()
        try:
            async with asyncio.timeout(self._deadlines.call_s):
                return await self._ask(process, payload)
        except TimeoutError as error:
            self._poison.failed(payload)
            self._failed()
            raise EngineTimedOut(self.name, self._deadlines.call_s) from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self._poison.failed(payload)
            self._failed()
            raise EngineDied(self.name) from error
        except BaseException:
            self._end_process()
            raise

    async def _ask(self, process: Process, payload: bytes) -> bytes:
        if process.stdin is None or process.stdout is None:
            raise EngineDied(self.name)
        process.stdin.write(self._framing.wrap(payload))
        await process.stdin.drain()
        return await self._framing.read(process.stdout)

    async def _started(self) -> Process:
        if self._process is not None and self._process.returncode is not None:
            self._end_process()  # it died while idle
        if self._process is not None:
            return self._process
        if self._closed:
            raise EngineMissing(self.name, "it was shut down")
        if self.rests:
            raise EngineMissing(self.name, "it failed repeatedly and rests")
        try:
            async with asyncio.timeout(self._deadlines.start_s):
                return await self._start()
        except TimeoutError as error:  # an OSError too, so it stands first
            self._failed()
            raise EngineTimedOut(self.name, self._deadlines.start_s) from error
        except OSError as error:
            self._failed()
            raise EngineMissing(self.name, error.strerror or "it cannot be started") from error
        except asyncio.IncompleteReadError as error:
            self._failed()
            raise EngineMissing(self.name, "it ended while starting") from error
        except BaseException:
            self._end_process()
            raise

    async def _start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            env=environment(),
            start_new_session=True,
            limit=MAX_FRAME_BYTES,
        )
        self._process = process
        self.starts += 1
        if self._greet is not None:
            await self._ask(process, self._greet)
        elif process.stdout is not None:
            await self._framing.read(process.stdout)
        log.info("engine started", extra={"engine": self.name, "starts": self.starts})
        return process

    def _failed(self) -> None:
        self._end_process()
        self._failures += 1
        self._failed_at.append(self._clock())
        rest_s = self._rest_s()
        if rest_s > 0:
            self._rests_until = self._clock() + rest_s
            if self._on_rest is not None:
                self._on_rest(rest_s)
        log.warning("engine failed", extra={"engine": self.name, "failures": self._failures})

    def _rest_s(self) -> float:
        """How long to rest after the failure that has just been counted."""
        excess = self._failures - _FAILURES_BEFORE_REST
        in_a_row_s = min(_LONGEST_REST_S, 2.0**excess) if excess >= 0 else 0.0
        if len(self._failed_at) < _FAILURE_BUDGET:
            return in_a_row_s
        return max(in_a_row_s, min(_LONGEST_REST_S, self._failed_at[0] + _BUDGET_PERIOD_S - self._clock()))

    def _end_process(self) -> None:
        """Let go of the process; a task of ours ends and reaps it, so that this never waits."""
        process, self._process = self._process, None
        if process is not None:
            task = asyncio.create_task(_end(process), name=f"end {self.name}")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


async def _end(process: Process) -> None:
    """Terminate politely (a supervisor then reaps its own children), then kill the whole group."""
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_TERMINATION_GRACE_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


__all__ = ["Deadlines", "EngineFailure", "WorkerProcess", "environment", "python_worker"]
