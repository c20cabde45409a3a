"""Live audio that waits to be sent: bounded in seconds, since chunks are of any length."""

import asyncio
from collections import deque
from dataclasses import dataclass

from babelcast.channel import ChannelClosed
from babelcast.pcm import duration_ms
from gateway.ledger import Source


@dataclass(frozen=True, slots=True)
class Arrived:
    """16 kHz PCM, when it came (epoch ms), the speaker's chunk that it is from, if it is from one, and its
    trace context, if it has one.
    """

    pcm: bytes
    at_ms: int
    source: Source | None = None
    traceparent: str = ""
    since_s: float | None = None
    """When it came, on the clock that it is timed by, if it is."""


class Backlog:
    """First in, first out. Policy: above `limit_ms` the oldest go, and `put` says how much that was.

    One receiver; not thread-safe.
    """

    def __init__(self, *, limit_ms: float) -> None:
        """`limit_ms` may be changed at any time; it counts from the next `put` on."""
        self.limit_ms = limit_ms
        self.waiting_ms = 0.0
        self._items: deque[Arrived] = deque()
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def put(self, arrived: Arrived) -> float:
        """Queue audio at once; returns how much older audio had to go, ms. The newest piece always stays.

        Raises: ChannelClosed.
        """
        if self._closed:
            raise ChannelClosed
        self._items.append(arrived)
        self.waiting_ms += duration_ms(arrived.pcm)
        lost_ms = 0.0
        while self.waiting_ms > self.limit_ms and len(self._items) > 1:
            lost_ms += self._take_ms(self._items.popleft())
        self._changed.set()
        return lost_ms

    def close(self) -> None:
        """No more audio; what waits is still received. Idempotent."""
        self._closed = True
        self._changed.set()

    async def ready(self) -> bool:
        """Wait until there is something to receive; False when closed and empty."""
        while not self._items and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        return bool(self._items)

    async def receive(self) -> Arrived:
        """The next piece.

        Raises: ChannelClosed when closed and empty.
        """
        if not await self.ready():
            raise ChannelClosed
        arrived = self._items.popleft()
        self._take_ms(arrived)
        return arrived

    def _take_ms(self, arrived: Arrived) -> float:
        length_ms = duration_ms(arrived.pcm)
        self.waiting_ms -= length_ms
        return length_ms
