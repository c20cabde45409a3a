"""What time has decided, carried out piece by piece; any number of processes may do so at once.

Indexes say what may be due, a page of each at a time; each piece is then a conditional write of its own. A
crash leaves what is not done to the next sweep.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from typing import Final

from session_svc.model import Role, Seat, Session
from session_svc.store.dynamodb.calls import Calls
from session_svc.store.dynamodb.faults import ConditionFailed
from session_svc.store.dynamodb.reading import Reading
from session_svc.store.dynamodb.rows import ENDED, OPEN, SHARDS, Item, snapshot_of
from session_svc.store.dynamodb.tables import SEATS_BY_SESSION, SEATS_BY_TIME, SESSIONS_BY_END, TableNames
from session_svc.store.dynamodb.writes import Writes

_GIVEN_UP_TOGETHER: Final = 50  # a transaction may have 100 writes
_SOON_MS: Final = 100


class Sweeping:
    """One sweep at `now_ms`. `lane` is where changes to a session take turns."""

    def __init__(
        self, calls: Calls, tables: TableNames, lane: Callable[[str], asyncio.Lock], now_ms: int
    ) -> None:
        self._calls = calls
        self._tables = tables
        self._lane = lane
        self._now_ms = now_ms
        self._reading = Reading(calls, tables)
        self._writes = Writes(tables, now_ms)

    async def end_due(self) -> list[Session]:
        """End the sessions that are due; returns those that this sweep has ended."""
        by = uuid.uuid4().hex
        ended: list[Session] = []
        for row in await self._calls.first(self._tables.sessions, SESSIONS_BY_END, OPEN):
            if int(row["endsAt"]["N"]) > self._now_ms:
                break
            session_id = row["sessionId"]["S"]
            async with self._lane(session_id):
                try:
                    ended_row: Item | None = await self._calls.update(
                        self._writes.carry_out_end(session_id, by=by)
                    )
                except ConditionFailed as failed:  # by another sweep, or by this one without an answer
                    ended_row = failed.rows[0]
            if ended_row and ended_row.get("endedBy") == {"S": by}:
                ended.append(snapshot_of(ended_row).session)
        return ended

    async def give_up_seats(self) -> set[str]:
        """Remove listeners' seats that are due; returns the sessions that lost some of those that count."""
        shrunk: set[str] = set()
        for shard in SHARDS:
            for row in await self._calls.first(self._tables.connections, SEATS_BY_TIME, shard):
                if int(row["untilAt"]["N"]) > self._now_ms:
                    break
                seat = await self._reading.any_seat(row["connectionId"]["S"])
                if seat is None or seat.role is not Role.LISTENER or seat.until_ms > self._now_ms:
                    continue
                async with self._lane(seat.session_id):
                    # when another one was quicker, the next sweep sees what is left
                    with contextlib.suppress(ConditionFailed):
                        await self._give_up(seat)
                        if seat.present:
                            shrunk.add(seat.session_id)
        return shrunk

    async def forget(self, before_ms: int) -> None:
        """Remove sessions that ended before, with their seats."""
        for row in await self._calls.first(self._tables.sessions, SESSIONS_BY_END, ENDED):
            if int(row["endsAt"]["N"]) >= before_ms:
                break
            with contextlib.suppress(ConditionFailed):
                await self._forget(row["sessionId"]["S"])

    async def next_due_ms(self) -> int | None:
        """When a session or a seat is due next."""
        firsts = [
            (await self._calls.first(self._tables.sessions, SESSIONS_BY_END, OPEN, limit=1), "endsAt"),
            *[
                (await self._calls.first(self._tables.connections, SEATS_BY_TIME, shard, limit=1), "untilAt")
                for shard in SHARDS
            ],
        ]
        due_ms = min((int(rows[0][name]["N"]) for rows, name in firsts if rows), default=None)
        # More than a page was due, or an index is behind its table: not again in the same moment.
        return None if due_ms is None else max(due_ms, self._now_ms + _SOON_MS)

    async def _give_up(self, seat: Seat) -> None:
        if await self._reading.session_row(seat.session_id) is None:
            await self._calls.transact(
                self._writes.delete_seat(seat), self._writes.require_absent(seat.session_id)
            )
        else:
            await self._calls.transact(*self._writes.give_up(seat.session_id, [seat]))

    async def _forget(self, session_id: str) -> None:
        """Remove the listeners' seats, each with its count, and then what is left.

        However often a crash interrupts this, no seat is ever left without its session: the code may be in
        use again a moment later.
        """
        async with self._lane(session_id):
            while seats := await self._listeners(session_id):
                await self._calls.transact(*self._writes.give_up(session_id, seats))
            row = await self._reading.session_row(session_id)
            if row is None:
                return
            session = snapshot_of(row).session
            speaker = await self._reading.any_seat(session.speaker_connection_id)
            own = [speaker] if speaker is not None and speaker.session_id == session_id else []
            await self._calls.transact(
                self._writes.forget(session), *(self._writes.delete_seat(seat) for seat in own)
            )

    async def _listeners(self, session_id: str) -> list[Seat]:
        """Some of the session's listeners, none when there are none any more."""
        found = await self._calls.first(
            self._tables.connections, SEATS_BY_SESSION, session_id, limit=_GIVEN_UP_TOGETHER
        )
        seats = [await self._reading.any_seat(row["connectionId"]["S"]) for row in found]
        return [
            seat
            for seat in seats
            if seat is not None and seat.session_id == session_id and seat.role is Role.LISTENER
        ]
