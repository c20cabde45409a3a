"""Results on their way to the receiver."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace

from transcription_svc.engines.base import SegmentResult

PARTIAL_GAP_S = 0.2


class Outbox:
    """Finals pass always and in order; of partials only the newest waits, and at most five a second pass.

    `put` never waits: who feeds audio waits while the box is `full`, and no more finals come than audio.
    """

    def __init__(
        self, capacity: int, *, clock: Callable[[], float], partial_gap_s: float = PARTIAL_GAP_S
    ) -> None:
        self._capacity = capacity
        self._clock = clock
        self._gap_s = partial_gap_s
        self._finals: deque[SegmentResult] = deque()
        self._partial: SegmentResult | None = None
        self._changed = asyncio.Event()
        self._closed = False
        self._next_partial_at = 0.0
        self._revision = 0

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
                yield self._numbered(self._finals.popleft())
            elif self._closed:
                return
            elif self._partial is not None and self._clock() >= self._next_partial_at:
                partial, self._partial = self._partial, None
                self._next_partial_at = self._clock() + self._gap_s
                yield self._numbered(partial)
            else:
                await self._wait()

    async def _wait(self) -> None:
        self._changed.clear()
        left_s = None if self._partial is None else self._next_partial_at - self._clock()
        try:
            async with asyncio.timeout(left_s):
                await self._changed.wait()
        except TimeoutError:
            return

    def _numbered(self, result: SegmentResult) -> SegmentResult:
        """The result with its revision as the receiver counts it."""
        numbered = replace(result, revision=self._revision)
        self._revision = 0 if result.is_final else self._revision + 1
        return numbered
