"""Answers kept for a while, and no question asked twice at once."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Cache(Generic[KeyT, ValueT]):
    """At most `capacity` values, each for `ttl_s` seconds; the one unused for longest goes first.

    Single flight: while a value is being made, everybody who asks for it waits for that one. The flight
    belongs to the cache: it goes on when those who wait are cancelled, so that an engine is not thrown away
    because a stream was cut, and the stream's successor finds the answer. What it raises reaches all who wait
    and is not kept.
    """

    def __init__(self, *, capacity: int, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.hits = 0
        self.misses = 0
        self._capacity = capacity
        self._ttl_s = ttl_s
        self._clock = clock
        self._kept: OrderedDict[KeyT, tuple[float, ValueT]] = OrderedDict()
        self._flights: dict[KeyT, asyncio.Task[ValueT]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: KeyT, make: Callable[[], Awaitable[ValueT]]) -> ValueT:
        """The value of `key`, made by `make` if need be. Raises: what `make` raises."""
        entry = self._kept.get(key)
        if entry is not None and entry[0] > self._clock():
            self.hits += 1
            self._kept.move_to_end(key)
            return entry[1]
        flight = self._flights.get(key)
        if flight is None:
            self.misses += 1
            flight = asyncio.create_task(self._make(key, make), name="cache flight")
            flight.add_done_callback(_retrieve)
            self._flights[key] = flight
        else:
            self.hits += 1
        return await asyncio.shield(flight)

    async def aclose(self) -> None:
        """End the flights."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _make(self, key: KeyT, make: Callable[[], Awaitable[ValueT]]) -> ValueT:
        try:
            value = await make()
        finally:
            del self._flights[key]
        self._kept[key] = (self._clock() + self._ttl_s, value)
        self._kept.move_to_end(key)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return value


def _retrieve(flight: asyncio.Task[ValueT]) -> None:
    """Look at the outcome, lest asyncio complain when nobody was left to see it fail."""
    if not flight.cancelled():
        flight.exception()
