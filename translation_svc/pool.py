"""A few processes of one kind, with one queue."""

import asyncio
from collections.abc import Callable, Sequence

from translation_svc.turns import Turns, Urgency
from translation_svc.worker import WorkerProcess


class WorkerPool:
    """Spreads calls over workers; a call waits until one of them has nothing to do.

    The first such one is taken, so that the others are started only when there is work for them. One that
    hangs costs the call that met it; all others are answered by the rest. One that rests after many failures
    is asked only when all do.
    """

    def __init__(self, make: Callable[[], WorkerProcess], *, size: int) -> None:
        self.workers: Sequence[WorkerProcess] = tuple(make() for _ in range(size))
        self._turns = Turns(size)

    async def warm(self) -> None:
        """Start all of them. Raises: EngineFailure."""
        await asyncio.gather(*(worker.warm() for worker in self.workers))

    async def call(self, payload: bytes, *, urgency: Urgency = Urgency.FINAL) -> bytes:
        """One request, one answer. Raises: EngineFailure."""
        async with self._turns.turn(urgency):
            worker = min(self.workers, key=lambda worker: (worker.load > 0, worker.rests))
            return await worker.call(payload, urgency=urgency)

    async def aclose(self) -> None:
        """End all processes; idempotent."""
        for worker in self.workers:
            await worker.aclose()
