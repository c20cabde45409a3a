"""How the clients of a gateway that stops move to others: a few at a time, each served until it has moved."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.config import GatewayConfig
from gateway.permissions import Role

STEP_S: Final = 0.1
MOVE_WITHIN_S: Final = 5.0
"""How soon a client that is asked to is to have moved; one that takes longer is served all the same."""
FINISH_S: Final = 5.0
"""For the open sentences of speakers who have not moved when time is up."""


HURRIED_S: Final = 1.0
"""For them when somebody is in a hurry, and the least in any case."""


async def unless_hurried(work: Coroutine[None, None, None], hurried: asyncio.Event, *, most_s: float) -> None:
    """Let `work` be done: within `most_s`, or HURRIED_S after `hurried`; what is left is cancelled."""
    working = asyncio.create_task(work, name="finish")
    hurrying = asyncio.create_task(hurried.wait(), name="hurry")
    try:
        await asyncio.wait(
            {working, hurrying}, timeout=max(most_s, HURRIED_S), return_when=asyncio.FIRST_COMPLETED
        )
        if hurrying.done() and not working.done():
            await asyncio.wait({working}, timeout=HURRIED_S)
        if working.done():
            working.result()
    finally:
        working.cancel()
        hurrying.cancel()
        await asyncio.wait({working, hurrying})


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is over when, s since the gateway was told to stop."""

    linger_s: float
    """Newcomers are served until then, and nobody is asked to move: whoever sends clients here (Kubernetes'
    endpoints, a load balancer that asks /readyz) notices with some delay, and those who are asked before it
    has would come back to this gateway.
    """
    asked_s: float
    """Everybody has been asked."""
    finish_s: float
    """Those who are still there are no longer waited for."""
    end_s: float
    """Connections are closed."""

    @classmethod
    def of(cls, config: GatewayConfig) -> "Schedule":
        """The times of a configuration; a short drain shortens all of them alike."""
        end_s = float(config.drain_seconds)
        linger_s = min(float(config.drain_linger_seconds), end_s / 6)
        return cls(
            linger_s=linger_s,
            asked_s=linger_s + min(float(config.drain_window_seconds), end_s / 2),
            finish_s=end_s - min(FINISH_S, end_s / 6),
            end_s=end_s,
        )

    def due_s(self, place: int, *, of: int) -> float:
        """When the client at `place` (from 0) of so many is asked: evenly spread."""
        return self.linger_s + (self.asked_s - self.linger_s) * place / of


class Leaver(Protocol):
    """A connection that is to go."""

    @property
    def role(self) -> Role:
        """What it has to move with; NONE when there is nothing."""
        ...

    def require_refresh(self, *, refresh_by_ms: int) -> None:
        """Take no role any more, and ask a client that has one to move."""
        ...


class Departure:
    """One gateway's end: `linger`, then `move`. `hurried` cuts both short."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        leavers: Callable[[], Iterable[Leaver]],
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
        hurried: asyncio.Event,
    ) -> None:
        """It begins now, on `clock` (s)."""
        self._schedule = schedule
        self._leavers = leavers
        self._clock = clock
        self._clock_ms = clock_ms
        self._began_s = clock()
        self._hurried = hurried

    @property
    def left_s(self) -> float:
        """Time until the end."""
        return max(0.0, self._schedule.end_s - self._passed_s)

    async def linger(self) -> None:
        """Wait until clients are sent elsewhere."""
        await self._pause(self._schedule.linger_s - self._passed_s)

    async def move(self) -> None:
        """Ask everybody to move, listeners first; returns when all have, or time is up."""
        due_s = self._due()
        asked: set[Leaver] = set()
        while self._passed_s < self._schedule.finish_s and not self._hurried.is_set():
            staying = [leaver for leaver in self._leavers() if leaver.role is not Role.NONE]
            if not staying:
                return
            # one that came to its role meanwhile is in no plan
            self._ask([each for each in staying if due_s.get(each, 0) <= self._passed_s], asked)
            await self._pause(STEP_S)

    def _due(self) -> dict[Leaver, float]:
        """When each is asked. Who has no role takes none here any more."""
        order = sorted(self._leavers(), key=lambda leaver: leaver.role is Role.SPEAKER)
        for leaver in order:
            if leaver.role is Role.NONE:
                leaver.require_refresh(refresh_by_ms=0)
        order = [leaver for leaver in order if leaver.role is not Role.NONE]
        return {leaver: self._schedule.due_s(place, of=len(order)) for place, leaver in enumerate(order)}

    def _ask(self, due: Iterable[Leaver], asked: set[Leaver]) -> None:
        within_s = max(0.0, min(MOVE_WITHIN_S, self._schedule.finish_s - self._passed_s))
        for leaver in due:
            if leaver not in asked:
                asked.add(leaver)
                leaver.require_refresh(refresh_by_ms=self._clock_ms() + round(1000 * within_s))

    @property
    def _passed_s(self) -> float:
        return self._clock() - self._began_s

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._hurried.wait()
