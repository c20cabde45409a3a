"""A store whose changes are heard of."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from session_svc.events import Ended, Event, Listening
from session_svc.model import Controls, Role, Seat, Session, Snapshot
from session_svc.store.base import Change, Charge, Handover, Lapses, Page, SessionStore, Swept

ResultT = TypeVar("ResultT")


class PublishingStore:
    """SessionStore that publishes what another one has changed, even if the caller has gone meanwhile.

    Nothing is awaited between a change and its publication, and the store wakes its callers in the order in
    which it made their changes: so watchers see the changes in that order too.
    """

    def __init__(self, store: SessionStore, listening: Listening) -> None:
        self._store = store
        self._listening = listening
        self._changes: set[asyncio.Task[object]] = set()

    async def create(
        self, session: Session, speaker: Seat, *, charge: Charge | None = None, at_most: int = 0, now_ms: int
    ) -> None:
        """See SessionStore; nobody watches for a session that is new."""
        await self._store.create(session, speaker, charge=charge, at_most=at_most, now_ms=now_ms)

    async def find(self, session_id: str) -> Snapshot | None:
        """See SessionStore."""
        return await self._store.find(session_id)

    async def seat(self, connection_id: str) -> Seat | None:
        """See SessionStore."""
        return await self._store.seat(connection_id)

    async def successor(self, connection_id: str) -> Seat | None:
        """See SessionStore."""
        return await self._store.successor(connection_id)

    async def rotate(self, connection_id: str, token_hash: bytes, *, now_ms: int) -> Snapshot:
        """See SessionStore."""
        return await self._store.rotate(connection_id, token_hash, now_ms=now_ms)

    async def live_page(self, cursor: str, *, limit: int, now_ms: int) -> Page:
        """See SessionStore."""
        return await self._store.live_page(cursor, limit=limit, now_ms=now_ms)

    async def renew_lease(self, gateway_id: str, *, until_ms: int) -> bool:
        """See SessionStore."""
        return await self._store.renew_lease(gateway_id, until_ms=until_ms)

    async def lapse(self, *, due_ms: int, settled_ms: int) -> Lapses:
        """See SessionStore; what follows from it is done by `leave`."""
        return await self._store.lapse(due_ms=due_ms, settled_ms=settled_ms)

    async def connections_of(self, gateway_id: str) -> tuple[str, ...]:
        """See SessionStore."""
        return await self._store.connections_of(gateway_id)

    async def leave_all(self, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int) -> None:
        """See SessionStore; happens before anybody watches."""
        await self._store.leave_all(
            grace_until_ms=grace_until_ms, resumable_until_ms=resumable_until_ms, now_ms=now_ms
        )

    async def join(self, seat: Seat, *, capacity: int, charge: Charge | None = None, now_ms: int) -> Snapshot:
        """See SessionStore; publishes the audience."""

        async def change() -> Snapshot:
            snapshot = await self._store.join(seat, capacity=capacity, charge=charge, now_ms=now_ms)
            self._publish_audience(snapshot)
            return snapshot

        return await self._whole(change())

    async def hand_over(self, handover: Handover, *, now_ms: int) -> Change:
        """See SessionStore; publishes the audience if it is another one."""

        async def change() -> Change:
            made = await self._store.hand_over(handover, now_ms=now_ms)
            if made.changed:
                self._publish_audience(made.snapshot)
            return made

        return await self._whole(change())

    async def change_language(self, connection_id: str, language: str, *, now_ms: int) -> Change:
        """See SessionStore; publishes the audience if it is another one."""

        async def change() -> Change:
            made = await self._store.change_language(connection_id, language, now_ms=now_ms)
            if made.changed:
                self._publish_audience(made.snapshot)
            return made

        return await self._whole(change())

    async def update_broadcast(
        self, session_id: str, connection_id: str, controls: Controls, *, now_ms: int
    ) -> Change:
        """See SessionStore; publishes the broadcast state if it is another one."""

        async def change() -> Change:
            made = await self._store.update_broadcast(session_id, connection_id, controls, now_ms=now_ms)
            if made.changed:
                session = made.snapshot.session
                self._listening.publish(Event(session_id, session.broadcast, session.revision))
            return made

        return await self._whole(change())

    async def end(self, session_id: str, connection_id: str | None, reason: str, *, now_ms: int) -> Snapshot:
        """See SessionStore; publishes the end."""

        async def change() -> Snapshot:
            snapshot = await self._store.end(session_id, connection_id, reason, now_ms=now_ms)
            self._listening.publish(Event(session_id, Ended(snapshot.session.end_reason)))
            return snapshot

        return await self._whole(change())

    async def leave(
        self, connection_id: str, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int
    ) -> tuple[Role, Snapshot] | None:
        """See SessionStore; publishes the audience when a listener left."""

        async def change() -> tuple[Role, Snapshot] | None:
            left = await self._store.leave(
                connection_id,
                grace_until_ms=grace_until_ms,
                resumable_until_ms=resumable_until_ms,
                now_ms=now_ms,
            )
            if left is not None and left[0] is Role.LISTENER:
                self._publish_audience(left[1])
            return left

        return await self._whole(change())

    async def sweep(self, *, now_ms: int, forget_before_ms: int) -> Swept:
        """See SessionStore; publishes ends and audiences."""

        async def change() -> Swept:
            swept = await self._store.sweep(now_ms=now_ms, forget_before_ms=forget_before_ms)
            for snapshot in swept.audiences:
                self._publish_audience(snapshot)
            for session in swept.ended:
                self._listening.publish(Event(session.session_id, Ended(session.end_reason)))
            return swept

        return await self._whole(change())

    async def aclose(self) -> None:
        """Finish changes whose callers have gone, then see SessionStore."""
        await asyncio.gather(*self._changes, return_exceptions=True)
        await self._store.aclose()

    def _publish_audience(self, snapshot: Snapshot) -> None:
        session = snapshot.session
        self._listening.publish(Event(session.session_id, snapshot.audience, session.revision))

    async def _whole(self, change: Coroutine[None, None, ResultT]) -> ResultT:
        """Await a change that goes on to its end even if the caller is cancelled."""
        task = asyncio.ensure_future(change)
        self._changes.add(task)
        task.add_done_callback(self._settled)
        return await asyncio.shield(task)

    def _settled(self, task: asyncio.Task[ResultT]) -> None:
        self._changes.discard(task)
        if not task.cancelled():
            task.exception()  # a caller that has gone does not ask for it
