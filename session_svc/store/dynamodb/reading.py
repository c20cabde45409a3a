"""What operations read before they decide. Reads are consistent, and rows past their time are not there."""

from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from session_svc.model import Life, Role, Seat, Snapshot
from session_svc.store.base import Refused, StoreUnavailable
from session_svc.store.dynamodb import faults, rows
from session_svc.store.dynamodb.calls import Calls
from session_svc.store.dynamodb.rows import OPEN, Item, flag, seat_of, snapshot_of, text
from session_svc.store.dynamodb.tables import TableNames
from session_svc.store.dynamodb.writes import connection_key, session_key

_NOBODY: Final = "-"


@dataclass(frozen=True, slots=True)
class Stale:
    """A seat that does not count, and whether the record still knows its session."""

    seat: Seat
    session_known: bool


def acts(row: Item, connection_id: str, now_ms: int) -> bool:
    """Whether a connection is the speaker's of this session's row, and the session live."""
    return (
        row["phase"] == text(OPEN)
        and int(row["endsAt"]["N"]) > now_ms
        and row["speakerPresent"] == flag(True)
        and row["speakerConnectionId"] == text(connection_id)
    )


class Reading:
    """Rows of these tables. Each method may raise StoreUnavailable."""

    def __init__(self, calls: Calls, tables: TableNames) -> None:
        self._calls = calls
        self._tables = tables

    async def require_tables(self) -> None:
        """See that each table can be read.

        Raises: StoreUnavailable, naming a table that is missing.
        """
        tables = self._tables
        for table, key in (
            (tables.sessions, "sessionId"),
            (tables.connections, "connectionId"),
            (tables.rate_limits, "rateKey"),
        ):
            try:
                await self._calls.get(table, {key: text(_NOBODY)})
            except StoreUnavailable as error:
                cause = error.__cause__
                if isinstance(cause, ClientError) and faults.code_of(cause) == "ResourceNotFoundException":
                    raise StoreUnavailable(
                        f"There is no table {table}: `babelcast tables create` makes it."
                    ) from cause
                raise

    async def session_row(self, session_id: str) -> Item | None:
        """The row of a session, past its time or not."""
        return await self._calls.get(self._tables.sessions, session_key(session_id))

    async def session(self, session_id: str, now_ms: int) -> Snapshot | None:
        """The session, over or not."""
        row = await self.session_row(session_id)
        return None if row is None or rows.expired(row, now_ms) else snapshot_of(row)

    async def live(self, session_id: str, now_ms: int) -> Snapshot:
        """The session.

        Raises: Refused when it is not live.
        """
        found = await self.session(session_id, now_ms)
        if found is None or found.session.life(now_ms) is not Life.LIVE:
            raise Refused
        return found

    async def changed(self, session_id: str) -> Snapshot:
        """The session after a change to it, and after what others may have changed since."""
        row = await self.session_row(session_id)
        if row is None:
            raise StoreUnavailable
        return snapshot_of(row)

    async def seat_row(self, connection_id: str) -> Item | None:
        """The row of a seat, past its time or not."""
        row = await self._connection_row(connection_id)
        return None if row is None or rows.moved_to(row) is not None else row

    async def successor(self, connection_id: str, now_ms: int) -> Seat | None:
        """The seat that was handed over from a connection last."""
        row = await self._connection_row(connection_id)
        if row is None or (there := rows.moved_to(row)) is None:
            return None
        seat = await self.seat(there, now_ms)
        former = None if seat is None else seat.former
        return seat if former is not None and former.connection_id == connection_id else None

    async def _connection_row(self, connection_id: str) -> Item | None:
        if rows.is_lease(connection_id):
            return None
        return await self._calls.get(self._tables.connections, connection_key(connection_id))

    async def seat(self, connection_id: str, now_ms: int) -> Seat | None:
        """The seat, whether or not it counts."""
        row = await self.seat_row(connection_id)
        return None if row is None or rows.expired(row, now_ms) else seat_of(row)

    async def any_seat(self, connection_id: str) -> Seat | None:
        """The seat, also past its time: as long as its row is there, it may be counted."""
        row = await self.seat_row(connection_id)
        return None if row is None else seat_of(row)

    async def present_seat(self, connection_id: str, role: Role | None = None) -> Seat:
        """The seat of a connection that is there; its session may be over.

        Raises: Refused when there is no such seat, or none with that role.
        """
        seat = await self.any_seat(connection_id)
        if seat is None or not seat.present or role not in {None, seat.role}:
            raise Refused
        return seat

    async def stale(self, connection_id: str, now_ms: int) -> Stale | None:
        """The seat that a connection has and that does not count.

        Raises: Refused when it counts.
        """
        seat = await self.any_seat(connection_id)
        if seat is None:
            return None
        session = await self.session_row(seat.session_id)
        live = session is not None and snapshot_of(session).session.life(now_ms) is Life.LIVE
        if seat.present and live:
            raise Refused
        return Stale(seat, session_known=session is not None)
