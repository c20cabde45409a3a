"""SessionStore on DynamoDB.

Each operation is one transaction (or one conditional update) that says all it relies on. What it cannot know
beforehand it reads, decides upon, and says again as a condition; when that failed, it looks again. Any number
of processes may share the tables.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Self
from weakref import WeakValueDictionary

from babelcast.clock import wall_clock_ms
from session_svc.model import Controls, Life, Role, Seat, Session, Snapshot
from session_svc.store.base import (
    Change,
    Charge,
    CodeTaken,
    Handover,
    Lapses,
    Page,
    Refused,
    SpeakerBusy,
    StoreUnavailable,
    Swept,
)
from session_svc.store.dynamodb import rows
from session_svc.store.dynamodb.calls import Calls, Write
from session_svc.store.dynamodb.client import open_client
from session_svc.store.dynamodb.faults import ConditionFailed
from session_svc.store.dynamodb.limits import Limits
from session_svc.store.dynamodb.reading import Reading, Stale, acts
from session_svc.store.dynamodb.rows import HELD, LAPSED, OPEN, Item, flag, number, snapshot_of
from session_svc.store.dynamodb.sweeping import Sweeping
from session_svc.store.dynamodb.tables import SEATS_BY_GATEWAY, SEATS_BY_TIME, SESSIONS_BY_END, TableNames
from session_svc.store.dynamodb.writes import Writes

CAPACITY: Final = 4096
"""Operations under way; further ones are refused with StoreUnavailable."""
OPERATION_S: Final = 8.0
"""Longest an operation may take, waiting for its turn included: hundreds may join a session at once."""
SWEEP_S: Final = 60.0
ROUNDS: Final = 10
"""How often an operation looks again because somebody else was quicker; each time somebody was."""
_LEAVING_AT_ONCE: Final = 32


class DynamoDbStore:
    """SessionStore whose changes to one session take turns within this process.

    That keeps transactions on its row from conflicting with each other, and lets callers go on in the order
    in which their changes were made.
    """

    def __init__(
        self,
        calls: Calls,
        tables: TableNames,
        *,
        clock: Callable[[], int] = wall_clock_ms,
        close: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._calls = calls
        self._tables = tables
        self._reading = Reading(calls, tables)
        self._limits = Limits(calls, tables)
        self._clock = clock
        self._close = close
        self._closed = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._lanes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    async def open(
        cls, tables: TableNames, *, region: str = "", clock: Callable[[], int] = wall_clock_ms
    ) -> Self:
        """Connect with the credentials that boto finds, and see that the tables are there.

        Raises: StoreUnavailable.
        """
        client, close = await open_client(region)
        store = cls(Calls(client), tables, clock=clock, close=close)
        try:
            await store._reading.require_tables()
        except BaseException:
            await store.aclose()
            raise
        return store

    async def create(
        self, session: Session, speaker: Seat, *, charge: Charge | None = None, at_most: int = 0, now_ms: int
    ) -> None:
        """See SessionStore."""
        writes = Writes(self._tables, now_ms)
        async with self._operation(), self._speakers_lane(session.speaker_id, at_most):
            stale = await self._reading.stale(speaker.connection_id, now_ms)
            if charge is not None:
                await self._limits.pay(charge, now_ms)
            for _ in range(ROUNDS):
                try:
                    noting = await self._limits.note(writes, session, at_most)
                except SpeakerBusy:
                    # maybe by this very request, which was repeated: then it has its seat, and says so
                    await self._reading.stale(speaker.connection_id, now_ms)
                    raise
                try:
                    await self._calls.transact(
                        writes.put_session(session), *_seating(writes, speaker, stale), *noting
                    )
                    return
                except ConditionFailed as failed:
                    taken = failed.rows[0] is not None
                stale = await self._reading.stale(speaker.connection_id, now_ms)
                if taken:
                    raise CodeTaken
            raise _overtaken()

    async def find(self, session_id: str) -> Snapshot | None:
        """See SessionStore."""
        async with self._operation():
            return await self._reading.session(session_id, self._clock())

    async def seat(self, connection_id: str) -> Seat | None:
        """See SessionStore."""
        async with self._operation():
            return await self._reading.seat(connection_id, self._clock())

    async def successor(self, connection_id: str) -> Seat | None:
        """See SessionStore."""
        async with self._operation():
            return await self._reading.successor(connection_id, self._clock())

    async def join(self, seat: Seat, *, capacity: int, charge: Charge | None = None, now_ms: int) -> Snapshot:
        """See SessionStore."""
        async with self._operation():
            stale: Stale | None = None
            if charge is not None:
                stale = await self._reading.stale(seat.connection_id, now_ms)
                await self._limits.pay(charge, now_ms)
            async with self._lane(seat.session_id):
                return await self._join(seat, stale, capacity=capacity, now_ms=now_ms)

    async def hand_over(self, handover: Handover, *, now_ms: int) -> Change:
        """See SessionStore."""
        async with self._operation(), self._lane(handover.seat.session_id):
            for _ in range(ROUNDS):
                with contextlib.suppress(ConditionFailed):
                    return await self._hand_over(handover, now_ms)
            raise _overtaken()

    async def rotate(self, connection_id: str, token_hash: bytes, *, now_ms: int) -> Snapshot:
        """See SessionStore."""
        writes = Writes(self._tables, now_ms)
        async with self._operation():
            seat = await self._reading.present_seat(connection_id)
            async with self._lane(seat.session_id):
                for _ in range(ROUNDS):
                    try:
                        await self._calls.transact(
                            writes.require_live(seat.session_id),
                            writes.update_seat(seat, "SET #tokenHash = :fresh", fresh={"B": token_hash}),
                        )
                        return await self._reading.changed(seat.session_id)
                    except ConditionFailed as failed:
                        if failed.rows[0] is not None:
                            raise Refused from None
                    seat = await self._reading.present_seat(connection_id)
            raise _overtaken()

    async def change_language(self, connection_id: str, language: str, *, now_ms: int) -> Change:
        """See SessionStore."""
        writes = Writes(self._tables, now_ms)
        async with self._operation():
            seat = await self._reading.present_seat(connection_id, Role.LISTENER)
            async with self._lane(seat.session_id):
                for _ in range(ROUNDS):
                    if seat.target_language == language:
                        return Change(await self._reading.live(seat.session_id, now_ms), changed=False)
                    try:
                        await self._calls.transact(
                            writes.move_listener(seat.session_id, seat.target_language, language),
                            writes.update_seat(
                                seat, "SET #targetLanguage = :chosen", chosen=rows.text(language)
                            ),
                        )
                        return Change(await self._reading.changed(seat.session_id), changed=True)
                    except ConditionFailed as failed:
                        if failed.rows[0] is not None:
                            raise Refused from None
                    seat = await self._reading.present_seat(connection_id, Role.LISTENER)
            raise _overtaken()

    async def update_broadcast(
        self, session_id: str, connection_id: str, controls: Controls, *, now_ms: int
    ) -> Change:
        """See SessionStore."""
        writes = Writes(self._tables, now_ms)
        async with self._operation(), self._lane(session_id):
            change_ms = now_ms
            unsure = False
            for _ in range(ROUNDS):
                row: Item | None
                if controls == Controls():
                    row = await self._reading.session_row(session_id)
                else:
                    try:
                        row = await self._calls.update(
                            writes.control(session_id, connection_id, controls, change_ms=change_ms)
                        )
                        return Change(snapshot_of(row), changed=True)
                    except ConditionFailed as failed:
                        row = failed.rows[0]
                        unsure = unsure or failed.unsure
                if not row or not acts(row, connection_id, now_ms):
                    raise Refused
                snapshot = snapshot_of(row)
                if not controls.change(snapshot.session.broadcast):
                    # Who got no answer at first cannot know whose change it was; telling twice does no harm.
                    return Change(snapshot, changed=unsure)
                change_ms = max(now_ms, snapshot.session.broadcast.last_change_ms + 1)
            raise _overtaken()

    async def end(self, session_id: str, connection_id: str | None, reason: str, *, now_ms: int) -> Snapshot:
        """See SessionStore."""
        by = uuid.uuid4().hex
        async with self._operation(), self._lane(session_id):
            try:
                ended = Writes(self._tables, now_ms).end(session_id, connection_id, reason, by=by)
                return snapshot_of(await self._calls.update(ended))
            except ConditionFailed as failed:
                row = failed.rows[0]
                if row and row.get("endedBy") == rows.text(by):  # it was done, only the answer was lost
                    return snapshot_of(row)
                raise Refused from None

    async def leave(
        self, connection_id: str, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int
    ) -> tuple[Role, Snapshot] | None:
        """See SessionStore."""
        until = {Role.SPEAKER: grace_until_ms, Role.LISTENER: resumable_until_ms}
        async with self._operation():
            try:
                seat = await self._reading.present_seat(connection_id)
                async with self._lane(seat.session_id):
                    for _ in range(ROUNDS):
                        with contextlib.suppress(ConditionFailed):
                            await self._leave(seat, until[seat.role], now_ms)
                            return seat.role, await self._reading.changed(seat.session_id)
                        seat = await self._reading.present_seat(connection_id)
            except Refused:
                return None
            raise _overtaken()

    async def leave_all(self, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int) -> None:
        """See SessionStore. Reads all of the Connections table."""
        turns = asyncio.Semaphore(_LEAVING_AT_ONCE)

        async def leave(connection_id: str) -> None:
            async with turns:
                await self.leave(
                    connection_id,
                    grace_until_ms=grace_until_ms,
                    resumable_until_ms=resumable_until_ms,
                    now_ms=now_ms,
                )

        async with self._operation(SWEEP_S):
            found = await self._calls.matching(self._tables.connections, "present", flag(True))
            try:
                async with asyncio.TaskGroup() as group:
                    for item in found:
                        group.create_task(leave(item["connectionId"]["S"]))
            except* StoreUnavailable as errors:
                raise StoreUnavailable from errors

    async def sweep(self, *, now_ms: int, forget_before_ms: int) -> Swept:
        """See SessionStore. Does at most some hundred things at once; then more is due at once."""
        async with self._operation(SWEEP_S), contextlib.AsyncExitStack() as lanes:
            sweeping = Sweeping(self._calls, self._tables, self._lane, now_ms)
            ended = await sweeping.end_due()
            shrunk = await sweeping.give_up_seats()
            await sweeping.forget(forget_before_ms)
            next_due_ms = await sweeping.next_due_ms()
            # Read while nothing else is made known of these sessions: the caller tells what is found before
            # anybody can tell anything newer.
            for session_id in sorted(shrunk):
                await lanes.enter_async_context(self._lane(session_id))
            found = [await self._reading.session(session_id, now_ms) for session_id in sorted(shrunk)]
            return Swept(
                ended=tuple(ended),
                audiences=tuple(
                    snapshot
                    for snapshot in found
                    if snapshot is not None and snapshot.session.life(now_ms) is Life.LIVE
                ),
                next_due_ms=next_due_ms,
            )

    async def live_page(self, cursor: str, *, limit: int, now_ms: int) -> Page:
        """See SessionStore; in the order of their ends. A page may have fewer sessions, and others follow."""
        after = rows.open_session_key(cursor) if cursor else None
        async with self._operation():
            output = await self._calls.page(
                self._tables.sessions, SESSIONS_BY_END, OPEN, limit=limit, after=after
            )
            found = await asyncio.gather(
                *(self._reading.session(row["sessionId"]["S"], now_ms) for row in output["Items"])
            )
            last = output.get("LastEvaluatedKey")
            return Page(
                tuple(
                    snapshot
                    for snapshot in found
                    if snapshot is not None and snapshot.session.life(now_ms) is Life.LIVE
                ),
                rows.open_session_cursor(last) if last else "",
            )

    async def renew_lease(self, gateway_id: str, *, until_ms: int) -> bool:
        """See SessionStore."""
        async with self._operation():
            try:
                await self._calls.update(Writes(self._tables, until_ms).renew_lease(gateway_id, until_ms))
            except ConditionFailed:
                return False
            return True

    async def lapse(self, *, due_ms: int, settled_ms: int) -> Lapses:
        """See SessionStore."""
        writes = Writes(self._tables, due_ms)
        connections = self._tables.connections
        gateway_ids: list[str] = []
        next_due_ms: int | None = None
        async with self._operation(SWEEP_S):
            for row in await self._calls.every(connections, SEATS_BY_TIME, LAPSED):
                gateway_id = rows.gateway_of(row)
                if int(row["untilAt"]["N"]) > settled_ms:
                    gateway_ids.append(gateway_id)
                    continue
                with contextlib.suppress(ConditionFailed):
                    await self._calls.update(writes.settle_lease(gateway_id, settled_ms))
            for row in await self._calls.every(connections, SEATS_BY_TIME, HELD):
                if int(row["untilAt"]["N"]) > due_ms:
                    next_due_ms = int(row["untilAt"]["N"])
                    break
                gateway_id = rows.gateway_of(row)
                with contextlib.suppress(ConditionFailed):  # it was renewed, or lapsed already
                    await self._calls.update(writes.lapse_lease(gateway_id, due_ms))
                    gateway_ids.append(gateway_id)
        return Lapses(tuple(gateway_ids), next_due_ms)

    async def connections_of(self, gateway_id: str) -> tuple[str, ...]:
        """See SessionStore."""
        async with self._operation(SWEEP_S):
            found = await self._calls.every(self._tables.connections, SEATS_BY_GATEWAY, gateway_id)
            return tuple(row["connectionId"]["S"] for row in found)

    async def aclose(self) -> None:
        """See SessionStore."""
        self._closed = True
        await self._idle.wait()
        close, self._close = self._close, None
        if close is not None:
            await close()

    async def _join(self, seat: Seat, stale: Stale | None, *, capacity: int, now_ms: int) -> Snapshot:
        writes = Writes(self._tables, now_ms)
        counted = writes.add_listener(seat.session_id, seat.target_language, capacity=capacity)
        for _ in range(ROUNDS):
            try:
                await self._calls.transact(counted, *_seating(writes, seat, stale))
                return await self._reading.changed(seat.session_id)
            except ConditionFailed as failed:
                if failed.rows[0] is not None:
                    raise Refused from None
            stale = await self._reading.stale(seat.connection_id, now_ms)
        raise _overtaken()

    async def _hand_over(self, handover: Handover, now_ms: int) -> Change:
        writes = Writes(self._tables, now_ms)
        seat = handover.seat
        old = await self._reading.any_seat(handover.old_connection_id)
        if old is None or not _resumable(old, handover, now_ms):
            raise Refused
        session = await self._reading.live(old.session_id, now_ms)
        if old.present or old.connection_id != seat.connection_id:
            stale = await self._reading.stale(seat.connection_id, now_ms)
            seating = (*writes.pass_on(old, seat), *_seating(writes, seat, stale))
        else:
            seating = (writes.put_seat(seat, over=old),)
        changed = False
        keeping: Sequence[Write] = ()
        if seat.role is Role.SPEAKER:
            counted = writes.renew_speaker(handover)
            keeping = await self._limits.keep(writes, session.session, handover.expires_at_ms)
        elif not old.present:
            if session.audience.listener_count >= handover.capacity:
                raise Refused
            counted = writes.add_listener(old.session_id, seat.target_language, capacity=handover.capacity)
            changed = True
        elif old.target_language != seat.target_language:
            counted = writes.move_listener(old.session_id, old.target_language, seat.target_language)
            changed = True
        else:
            counted = writes.require_live(old.session_id)
        await self._calls.transact(counted, *seating, *keeping)
        return Change(await self._reading.changed(old.session_id), changed=changed)

    async def _leave(self, seat: Seat, until_ms: int, now_ms: int) -> None:
        writes = Writes(self._tables, now_ms)
        session = (await self._reading.live(seat.session_id, now_ms)).session
        await self._calls.transact(
            writes.start_grace(session, until_ms)
            if seat.role is Role.SPEAKER
            else writes.remove_listener(seat.session_id, seat.target_language),
            writes.update_seat(
                seat,
                "SET #present = :gone, #untilAt = :left, #ttl = :ttl REMOVE #gatewayId",
                gone=flag(False),
                left=number(until_ms),
                ttl=rows.ttl(until_ms),
            ),
        )

    def _lane(self, session_id: str) -> asyncio.Lock:
        return self._lanes.setdefault(session_id, asyncio.Lock())

    def _speakers_lane(self, speaker_id: str, at_most: int) -> contextlib.AbstractAsyncContextManager[object]:
        """Where a speaker's sessions are made one by one, if they are counted."""
        return self._lane(f"speaker/{speaker_id}") if at_most else contextlib.nullcontext()

    @contextlib.asynccontextmanager
    async def _operation(self, longest_s: float = OPERATION_S) -> AsyncIterator[None]:
        if self._closed:
            raise StoreUnavailable("The record of sessions is closed.")
        if self._under_way >= CAPACITY:
            raise StoreUnavailable("The record of sessions is overloaded.")
        self._under_way += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(longest_s):
                yield
        except TimeoutError as error:
            raise StoreUnavailable from error
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()


def _seating(writes: Writes, seat: Seat, stale: Stale | None) -> tuple[Write, ...]:
    """Give a connection a seat, in place of one that does not count any more."""
    if stale is None:
        return (writes.put_seat(seat, over=None),)
    put = writes.put_seat(seat, over=stale.seat)
    old = stale.seat
    if not (old.present and old.role is Role.LISTENER) or old.session_id == seat.session_id:
        return (put,)
    if not stale.session_known:
        return (put, writes.require_absent(old.session_id))
    return (put, writes.remove_listener_of_over(old.session_id, old.target_language))


def _resumable(old: Seat, handover: Handover, now_ms: int) -> bool:
    """Whether the old seat is still there to be taken; a speaker's time is its session's."""
    new = handover.seat
    same = old.session_id == new.session_id and old.role is new.role
    good = old.token_hash == handover.expected_hash
    return same and good and (old.role is Role.SPEAKER or old.until_ms > now_ms)


def _overtaken() -> StoreUnavailable:
    return StoreUnavailable("Too many changes at once.")
