"""Whose turn it is at an engine that does one thing at a time, or a few."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum


class Urgency(Enum):
    """Finals go before partials; within each, first come first served."""

    FINAL = 0
    PARTIAL = 1


class Turns:
    """A semaphore with two queues.

    Every lane of every stream waits with at most one sentence at a time, so first come first served is also
    fair between sessions. The queues are bounded by the number of lanes.
    """

    def __init__(self, places: int = 1) -> None:
        """`places` is how many may hold the engine at once."""
        self._free = places
        self._held = 0
        self._waiting: dict[Urgency, deque[asyncio.Future[None]]] = {kind: deque() for kind in Urgency}

    @property
    def load(self) -> int:
        """How many hold the engine or wait for it."""
        return self._held + sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def turn(self, urgency: Urgency) -> AsyncIterator[None]:
        """Hold the engine."""
        await self._acquire(urgency)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, urgency: Urgency) -> None:
        if self._free:
            self._free -= 1
            self._held += 1
            return
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[urgency].append(ticket)
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self._release()  # the turn came together with the cancellation: hand it on
            else:
                self._waiting[urgency].remove(ticket)
            raise

    def _release(self) -> None:
        for kind in Urgency:
            queue = self._waiting[kind]
            while queue:
                ticket = queue.popleft()
                if not ticket.done():
                    ticket.set_result(None)
                    return
        self._free += 1
        self._held -= 1
