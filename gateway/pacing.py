"""The newest of something, not more often than somebody can read it."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Pace:
    """When the next may go. Pure; times in s of any clock that does not jump."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._went_s = float("-inf")

    def wait_s(self, now_s: float) -> float:
        """How long the next one still has to wait; 0 when it may go."""
        return max(0.0, self._went_s + self._interval_s - now_s)

    def went(self, now_s: float) -> None:
        """One goes now."""
        self._went_s = now_s


class Newest(Generic[ItemT]):
    """A place for one item: what is put there takes the place of what still waits."""

    def __init__(self, interval_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """At least `interval_s` lies between two items that are taken."""
        self._pace = Pace(interval_s)
        self._clock = clock
        self._item: ItemT | None = None
        self._put = asyncio.Event()

    def put(self, item: ItemT) -> None:
        """Leave `item` to be taken."""
        self._item = item
        self._put.set()

    def clear(self) -> None:
        """What waits is no longer wanted."""
        self._item = None
        self._put.clear()

    async def take(self) -> ItemT:
        """The newest item, once there is one and its time has come."""
        while True:
            await self._put.wait()
            wait_s = self._pace.wait_s(self._clock())
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            elif self._item is not None:
                item = self._item
                self.clear()
                self._pace.went(self._clock())
                return item
