"""The timer of sessions: ends what is due, and tells health whether the record can be used."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Protocol

from babelcast.errors import ServiceUnavailable
from session_svc.sessions import NowMs, Sessions

# Also the longest time for which a change of the wall clock, or a broken store, goes unnoticed.
LONGEST_WAIT_S = 10.0
RETRY_S = 1.0

log = logging.getLogger(__name__)


class TellHealth(Protocol):
    """`GrpcServer.set_serving`."""

    async def __call__(self, *, serving: bool) -> None:
        """Tell health whether the service can do its work."""
        ...


def waker(due: asyncio.Event, *, now_ms: NowMs) -> Callable[[int], None]:
    """What to call with the time at which something is due: sets `due` when a sweeper might sleep past it.

    It looks again after LONGEST_WAIT_S in any case, so most of what is new needs no sweep of its own.
    """

    def deadline_moved(at_ms: int) -> None:
        if at_ms < now_ms() + LONGEST_WAIT_S * 1000:
            due.set()

    return deadline_moved


class Sweeper:
    """Owns one task that sweeps when something is due. `due` is set when that may be earlier than known."""

    def __init__(
        self, sessions: Sessions, due: asyncio.Event, *, now_ms: NowMs, tell_health: TellHealth
    ) -> None:
        self._sessions = sessions
        self._due = due
        self._now_ms = now_ms
        self._tell_health = tell_health
        self._serving = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Sweep once, tell health, and go on in the background."""
        wait_s = await self._sweep()
        self._task = asyncio.create_task(self._run(wait_s), name="session sweeper")

    async def wait(self) -> None:
        """Wait for its end.

        Raises: what ended it, unless that was `aclose`.
        """
        if self._task is not None:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    async def aclose(self) -> None:
        """Stop; idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, wait_s: float) -> None:
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._due.wait()
                wait_s = await self._sweep()
        except Exception:  # a defect: whoever waits hears of it, and health does in any case
            log.exception("the timer of sessions failed")
            await self._tell(serving=False)
            raise

    async def _sweep(self) -> float:
        """Sweep; returns how long to wait for the next time, in s."""
        self._due.clear()
        try:
            next_due_ms = await self._sessions.sweep()
        except ServiceUnavailable:
            log.warning("the record of sessions cannot be swept", exc_info=True)
            await self._tell(serving=False)
            return RETRY_S
        await self._tell(serving=True)
        if next_due_ms is None:
            return LONGEST_WAIT_S
        return min(max(0.0, (next_due_ms - self._now_ms()) / 1000), LONGEST_WAIT_S)

    async def _tell(self, *, serving: bool) -> None:
        if serving is not self._serving:
            self._serving = serving
            await self._tell_health(serving=serving)
