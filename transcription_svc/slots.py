"""Fair places at a few workers: final results before partial ones, then whoever waited longest for a turn."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum


class Urgency(IntEnum):
    """Smaller goes first."""

    FINAL = 0
    PARTIAL = 1


@dataclass(slots=True)
class _Waiter:
    urgency: Urgency
    granted: asyncio.Future[None]


class FairSlots:
    """A semaphore of `slots` places for keys that each wait for at most one place at a time.

    Of those that wait, the most urgent gets the next place; of equally urgent ones the key that was served
    least recently. Nothing queues up: a key decides what to do when its turn comes.
    """

    def __init__(self, slots: int) -> None:
        if slots < 1:
            raise ValueError("at least one slot is needed")
        self._free = slots
        self._waiting: dict[object, _Waiter] = {}
        self._served: dict[object, int] = {}
        self._turns = 0

    @contextlib.asynccontextmanager
    async def slot(self, key: object, urgency: Urgency) -> AsyncIterator[None]:
        """Hold one place."""
        if key in self._waiting:
            raise RuntimeError("a key waits for one slot at a time")
        waiter = _Waiter(urgency, asyncio.get_running_loop().create_future())
        self._waiting[key] = waiter
        self._grant()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if self._waiting.pop(key, None) is None and not waiter.granted.cancelled():
                self._release()  # granted and cancelled in the same turn of the loop
            raise
        try:
            yield
        finally:
            self._release()

    def promote(self, key: object, urgency: Urgency) -> None:
        """What `key` waits for has become more urgent."""
        waiter = self._waiting.get(key)
        if waiter is not None:
            waiter.urgency = min(waiter.urgency, urgency)

    def forget(self, key: object) -> None:
        """`key` comes no more."""
        self._served.pop(key, None)

    def _release(self) -> None:
        self._free += 1
        self._grant()

    def _grant(self) -> None:
        while self._free and self._waiting:
            key = min(self._waiting, key=self._rank)
            waiter = self._waiting.pop(key)
            if waiter.granted.done():
                continue
            self._free -= 1
            self._turns += 1
            self._served[key] = self._turns
            waiter.granted.set_result(None)

    def _rank(self, key: object) -> tuple[int, int]:
        return self._waiting[key].urgency, self._served.get(key, 0)
