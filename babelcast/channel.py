"""A bounded queue that can be closed: the only kind between two tasks here."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class ChannelClosed(Exception):
    """Sent to a closed channel."""


class Channel(Generic[ItemT]):
    """First in, first out, at most `capacity` items.

    The sender chooses the policy at each send: `send` waits for room (back-pressure), `send_dropping_oldest`
    makes room (live audio). After `close` the receiver still gets what is queued, then the iteration ends.
    One receiver; any number of senders; not thread-safe.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a channel holds at least one item")
        self.capacity = capacity
        self.dropped = 0
        self._items: deque[ItemT] = deque()
        self._closed = False
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def send(self, item: ItemT) -> None:
        """Queue `item`, waiting for room.

        Raises: ChannelClosed.
        """
        while not self._closed and len(self._items) >= self.capacity:
            self._writable.clear()
            await self._writable.wait()
        self._put(item)

    def send_dropping_oldest(self, item: ItemT) -> ItemT | None:
        """Queue `item` at once; returns the item that had to go, which counts in `dropped`.

        Raises: ChannelClosed.
        """
        gone = None
        if not self._closed and len(self._items) >= self.capacity:
            gone = self._items.popleft()
            self.dropped += 1
        self._put(item)
        return gone

    def close(self) -> None:
        """No more items; idempotent. Waiting senders get ChannelClosed."""
        self._closed = True
        self._readable.set()
        self._writable.set()

    async def ready(self) -> bool:
        """Wait until there is something to receive; False when the channel is closed and empty."""
        while not self._items and not self._closed:
            self._readable.clear()
            await self._readable.wait()
        return bool(self._items)

    def clear(self) -> None:
        """Forget what is queued; not counted in `dropped`."""
        self._items.clear()
        self._writable.set()

    async def receive(self) -> ItemT:
        """The next item.

        Raises: ChannelClosed when the channel is closed and empty.
        """
        if not await self.ready():
            raise ChannelClosed
        return self._take()

    def receive_nowait(self) -> ItemT | None:
        """The next item if it is there already; None otherwise."""
        return self._take() if self._items else None

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        while True:
            try:
                item = await self.receive()
            except ChannelClosed:
                return
            yield item

    def _take(self) -> ItemT:
        item = self._items.popleft()
        self._writable.set()
        return item

    def _put(self, item: ItemT) -> None:
        if self._closed:
            raise ChannelClosed
        self._items.append(item)
        self._readable.set()
