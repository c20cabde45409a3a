"""A few processes of one kind: a request goes to the one with the least to do."""

import asyncio
from collections.abc import Callable, Sequence

from translation_svc.turns import Urgency
from translation_svc.worker import WorkerProcess


class WorkerPool:
    """Spreads calls over workers.

    The first one with nothing to do is taken, so that the others are started only when there is work for
    them. One that hangs keeps the calls that wait for it already; those that come go to the others.
    """

    def __init__(self, make: Callable[[], WorkerProcess], *, size: int) -> None:
        self.workers: Sequence[WorkerProcess] = tuple(make() for _ in range(size))

    async def warm(self) -> None:
        """Start all of them. Raises: EngineFailure."""
        await asyncio.gather(*(worker.warm() for worker in self.workers))

    async def call(self, payload: bytes, *, urgency: Urgency = Urgency.FINAL) -> bytes:
        """One request, one answer. Raises: EngineFailure."""
        worker = min(self.workers, key=lambda worker: worker.load)
        return await worker.call(payload, urgency=urgency)

    async def aclose(self) -> None:
        """End all processes; idempotent."""
        for worker in self.workers:
            await worker.aclose()
