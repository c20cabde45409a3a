"""Results on their way to the receiver."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from transcription_svc.engines.base import SegmentResult


class Outbox:
    """Finals pass always and in order; of partial results only the newest waits.

    `put` never waits: who feeds audio waits while the box is `full`, and no more finals come than audio.
    One receiver.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._finals: deque[SegmentResult] = deque()
        self._partial: SegmentResult | None = None
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether the receiver is too far behind."""
        return len(self._finals) >= self._capacity

    def put(self, results: Iterable[SegmentResult]) -> None:
        """Take results in order."""
        for result in results:
            if result.is_final:
                self._finals.append(result)
                self._partial = None
            else:
                self._partial = result
        self._changed.set()

    def close(self) -> None:
        """No more results come; idempotent."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[SegmentResult]:
        while True:
            if self._finals:
                yield self._finals.popleft()
            elif self._closed:
                return
            elif self._partial is not None:
                partial, self._partial = self._partial, None
                yield partial
            else:
                self._changed.clear()
                await self._changed.wait()
