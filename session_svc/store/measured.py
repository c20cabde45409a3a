"""A store that tells how long it takes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from babelcast.telemetry.instruments import OPERATION, STORE_DURATION, STORE_FAILURES
from session_svc.model import Controls, Role, Seat, Session, Snapshot
from session_svc.store.base import (
    Change,
    Charge,
    Handover,
    Lapses,
    Page,
    SessionStore,
    StoreUnavailable,
    Swept,
)


class MeasuredStore:
    """SessionStore that times what another one does, and counts what it could not."""

    def __init__(self, store: SessionStore, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._store = store
        self._clock = clock

    async def create(
        self, session: Session, speaker: Seat, *, charge: Charge | None = None, at_most: int = 0, now_ms: int
    ) -> None:
        """See SessionStore."""
        with self._measured("create"):
            await self._store.create(session, speaker, charge=charge, at_most=at_most, now_ms=now_ms)

    async def find(self, session_id: str) -> Snapshot | None:
        """See SessionStore."""
        with self._measured("find"):
            return await self._store.find(session_id)

    async def seat(self, connection_id: str) -> Seat | None:
        """See SessionStore."""
        with self._measured("seat"):
            return await self._store.seat(connection_id)

    async def successor(self, connection_id: str) -> Seat | None:
        """See SessionStore."""
        with self._measured("successor"):
            return await self._store.successor(connection_id)

    async def join(self, seat: Seat, *, capacity: int, charge: Charge | None = None, now_ms: int) -> Snapshot:
        """See SessionStore."""
        with self._measured("join"):
            return await self._store.join(seat, capacity=capacity, charge=charge, now_ms=now_ms)

    async def hand_over(self, handover: Handover, *, now_ms: int) -> Change:
        """See SessionStore."""
        with self._measured("hand_over"):
            return await self._store.hand_over(handover, now_ms=now_ms)

    async def rotate(self, connection_id: str, token_hash: bytes, *, now_ms: int) -> Snapshot:
        """See SessionStore."""
        with self._measured("rotate"):
            return await self._store.rotate(connection_id, token_hash, now_ms=now_ms)

    async def change_language(self, connection_id: str, language: str, *, now_ms: int) -> Change:
        """See SessionStore."""
        with self._measured("change_language"):
            return await self._store.change_language(connection_id, language, now_ms=now_ms)

    async def update_broadcast(
        self, session_id: str, connection_id: str, controls: Controls, *, now_ms: int
    ) -> Change:
        """See SessionStore."""
        with self._measured("update_broadcast"):
            return await self._store.update_broadcast(session_id, connection_id, controls, now_ms=now_ms)

    async def end(self, session_id: str, connection_id: str | None, reason: str, *, now_ms: int) -> Snapshot:
        """See SessionStore."""
        with self._measured("end"):
            return await self._store.end(session_id, connection_id, reason, now_ms=now_ms)

    async def leave(
        self, connection_id: str, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int
    ) -> tuple[Role, Snapshot] | None:
        """See SessionStore."""
        with self._measured("leave"):
            return await self._store.leave(
                connection_id,
                grace_until_ms=grace_until_ms,
                resumable_until_ms=resumable_until_ms,
                now_ms=now_ms,
            )

    async def leave_all(self, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int) -> None:
        """See SessionStore."""
        with self._measured("leave_all"):
            await self._store.leave_all(
                grace_until_ms=grace_until_ms, resumable_until_ms=resumable_until_ms, now_ms=now_ms
            )

    async def sweep(self, *, now_ms: int, forget_before_ms: int) -> Swept:
        """See SessionStore."""
        with self._measured("sweep"):
            return await self._store.sweep(now_ms=now_ms, forget_before_ms=forget_before_ms)

    async def live_page(self, cursor: str, *, limit: int, now_ms: int) -> Page:
        """See SessionStore."""
        with self._measured("live_page"):
            return await self._store.live_page(cursor, limit=limit, now_ms=now_ms)

    async def renew_lease(self, gateway_id: str, *, until_ms: int) -> bool:
        """See SessionStore."""
        with self._measured("renew_lease"):
            return await self._store.renew_lease(gateway_id, until_ms=until_ms)

    async def lapse(self, *, due_ms: int, settled_ms: int) -> Lapses:
        """See SessionStore."""
        with self._measured("lapse"):
            return await self._store.lapse(due_ms=due_ms, settled_ms=settled_ms)

    async def connections_of(self, gateway_id: str) -> tuple[str, ...]:
        """See SessionStore."""
        with self._measured("connections_of"):
            return await self._store.connections_of(gateway_id)

    async def aclose(self) -> None:
        """See SessionStore."""
        await self._store.aclose()

    @contextmanager
    def _measured(self, operation: str) -> Iterator[None]:
        began_s = self._clock()
        try:
            yield
        except StoreUnavailable:
            STORE_FAILURES.add(1, {OPERATION: operation})
            raise
        finally:
            STORE_DURATION.record(self._clock() - began_s, {OPERATION: operation})
