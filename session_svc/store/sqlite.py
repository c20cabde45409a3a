"""The record in one SQLite file: conditions are checked in the transaction that acts on them."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from session_svc.model import Controls, EndReason, Life, Role, Seat, Session, Snapshot
from session_svc.store import statements
from session_svc.store.base import Change, Charge, Handover, Lapses, Page, Refused, StoreError, Swept
from session_svc.store.committer import Committer
from session_svc.store.schema import migrate

_US_PER_MS = 1000
_LAPSED_KEPT_MS = 86_400_000

ResultT = TypeVar("ResultT")


class SqliteStore:
    """SessionStore on a file in WAL mode: a crash of the machine may lose the last moments, not the file."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or make the file, readable by its owner alone.

        Raises: StoreUnavailable.
        """
        committer = Committer(lambda: _connect(path))
        await committer.start()
        return cls(committer)

    async def create(
        self, session: Session, speaker: Seat, *, charge: Charge | None = None, at_most: int = 0, now_ms: int
    ) -> None:
        """See SessionStore."""

        def add(db: sqlite3.Connection) -> None:
            if at_most:
                statements.require_free_speaker(db, session.speaker_id, at_most, now_ms)
            statements.require_free_code(db, session.session_id)
            statements.insert_session(db, session)
            statements.insert_seat(db, speaker)

        await self._admit(speaker.connection_id, charge, add, now_ms=now_ms)

    async def find(self, session_id: str) -> Snapshot | None:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Snapshot | None:
            session = statements.find_session(db, session_id)
            return None if session is None else statements.snapshot_of(db, session)

        return await self._committer.run(work)

    async def seat(self, connection_id: str) -> Seat | None:
        """See SessionStore."""
        return await self._committer.run(lambda db: statements.find_seat(db, connection_id))

    async def successor(self, connection_id: str) -> Seat | None:
        """See SessionStore."""
        return await self._committer.run(lambda db: statements.find_successor(db, connection_id))

    async def join(self, seat: Seat, *, capacity: int, charge: Charge | None = None, now_ms: int) -> Snapshot:
        """See SessionStore."""

        def add(db: sqlite3.Connection) -> Snapshot:
            statements.require_live(db, seat.session_id, now_ms)
            before = statements.require_room(db, seat.session_id, capacity)
            statements.insert_seat(db, seat)
            session = statements.count_change(db, seat.session_id)
            return Snapshot(session, before.with_one_more(seat.target_language))

        return await self._admit(seat.connection_id, charge, add, now_ms=now_ms)

    async def hand_over(self, handover: Handover, *, now_ms: int) -> Change:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Change:
            seat = handover.seat
            old = statements.find_seat(db, handover.old_connection_id)
            if old is None or old.token_hash != handover.expected_hash:
                raise Refused
            statements.require_resumable(old, seat, now_ms)
            session = statements.require_live(db, old.session_id, now_ms)
            if old.present or old.connection_id != seat.connection_id:
                statements.require_no_seat(db, seat.connection_id, now_ms)
            if seat.role is Role.LISTENER and not old.present:
                statements.require_room(db, old.session_id, handover.capacity)
            db.execute("DELETE FROM seats WHERE connection_id = ?", (old.connection_id,))
            statements.insert_seat(db, seat)
            if seat.role is Role.SPEAKER:
                db.execute(
                    "UPDATE sessions SET speaker_connection_id = ?1, expires_at_ms = ?2, ends_at_ms = ?2,"
                    " end_reason = ?3, owner_epoch = owner_epoch + 1 WHERE session_id = ?4",
                    (seat.connection_id, handover.expires_at_ms, EndReason.EXPIRED, session.session_id),
                )
            changed = seat.role is Role.LISTENER and (
                not old.present or old.target_language != seat.target_language
            )
            if changed:
                statements.count_change(db, session.session_id)
            return Change(
                statements.snapshot_of(db, statements.require_live(db, session.session_id, now_ms)), changed
            )

        return await self._committer.run(work)

    async def rotate(self, connection_id: str, token_hash: bytes, *, now_ms: int) -> Snapshot:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Snapshot:
            _, session = statements.require_seat(db, connection_id, now_ms)
            db.execute("UPDATE seats SET token_hash = ? WHERE connection_id = ?", (token_hash, connection_id))
            return statements.snapshot_of(db, session)

        return await self._committer.run(work)

    async def change_language(self, connection_id: str, language: str, *, now_ms: int) -> Change:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Change:
            seat, session = statements.require_seat(db, connection_id, now_ms)
            if seat.role is not Role.LISTENER:
                raise Refused
            db.execute(
                "UPDATE seats SET target_language = ? WHERE connection_id = ?", (language, connection_id)
            )
            changed = seat.target_language != language
            after = statements.count_change(db, session.session_id) if changed else session
            return Change(statements.snapshot_of(db, after), changed)

        return await self._committer.run(work)

    async def update_broadcast(
        self, session_id: str, connection_id: str, controls: Controls, *, now_ms: int
    ) -> Change:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Change:
            session = statements.require_speaker(db, session_id, connection_id, now_ms)
            row = db.execute(
                "UPDATE sessions SET is_paused = coalesce(?1, is_paused), is_muted = coalesce(?2, is_muted),"
                " volume = coalesce(?3, volume), last_change_ms = max(?4, last_change_ms + 1),"
                " revision = revision + 1"
                " WHERE session_id = ?5 AND ("
                " is_paused <> coalesce(?1, is_paused) OR is_muted <> coalesce(?2, is_muted)"
                " OR volume <> coalesce(?3, volume)) RETURNING *",
                (controls.is_paused, controls.is_muted, controls.volume, now_ms, session_id),
            ).fetchone()
            after = session if row is None else statements.session_of(row)
            return Change(statements.snapshot_of(db, after), changed=row is not None)

        return await self._committer.run(work)

    async def end(self, session_id: str, connection_id: str | None, reason: str, *, now_ms: int) -> Snapshot:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Snapshot:
            if connection_id is None:
                statements.require_live(db, session_id, now_ms)
            else:
                statements.require_speaker(db, session_id, connection_id, now_ms)
            row = db.execute(
                "UPDATE sessions SET ended = 1, ends_at_ms = ?, end_reason = ? WHERE session_id = ?"
                " RETURNING *",
                (now_ms, reason, session_id),
            ).fetchone()
            return statements.snapshot_of(db, statements.session_of(row))

        return await self._committer.run(work)

    async def leave(
        self, connection_id: str, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int
    ) -> tuple[Role, Snapshot] | None:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> tuple[Role, Snapshot] | None:
            try:
                seat, _ = statements.require_seat(db, connection_id, now_ms)
            except Refused:
                return None
            until_ms = grace_until_ms if seat.role is Role.SPEAKER else resumable_until_ms
            db.execute(
                "UPDATE seats SET present = 0, until_ms = ? WHERE connection_id = ?",
                (until_ms, connection_id),
            )
            if seat.role is Role.SPEAKER:
                statements.start_grace(db, "session_id = ?4", (seat.session_id,), grace_until_ms)
            session = statements.count_change(db, seat.session_id)
            return seat.role, statements.snapshot_of(db, session)

        return await self._committer.run(work)

    async def leave_all(self, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int) -> None:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> None:
            statements.start_grace(
                db,
                "ended = 0 AND ends_at_ms > ?4 AND session_id IN"
                " (SELECT session_id FROM seats WHERE role = 'speaker' AND present)",
                (now_ms,),
                grace_until_ms,
            )
            db.execute(
                "UPDATE seats SET present = 0, until_ms = iif(role = 'speaker', ?, ?) WHERE present",
                (grace_until_ms, resumable_until_ms),
            )

        await self._committer.run(work)

    async def sweep(self, *, now_ms: int, forget_before_ms: int) -> Swept:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Swept:
            ended = db.execute(
                "UPDATE sessions SET ended = 1 WHERE ended = 0 AND ends_at_ms <= ? RETURNING *", (now_ms,)
            ).fetchall()
            given_up = db.execute(
                "DELETE FROM seats WHERE role = 'listener' AND until_ms <= ? RETURNING session_id, present",
                (now_ms,),
            ).fetchall()
            db.execute("DELETE FROM sessions WHERE ended = 1 AND ends_at_ms < ?", (forget_before_ms,))
            db.execute("DELETE FROM rates WHERE full_at_us < ?", (now_ms * _US_PER_MS,))
            shrunk = [
                statements.count_change(db, session_id)
                for session_id in sorted({row["session_id"] for row in given_up if row["present"]})
                if (session := statements.find_session(db, session_id)) is not None
                and session.life(now_ms) is Life.LIVE
            ]
            next_due: int | None = db.execute(
                "SELECT min(due) FROM (SELECT min(ends_at_ms) AS due FROM sessions WHERE ended = 0"
                " UNION ALL SELECT min(until_ms) FROM seats WHERE role = 'listener')"
            ).fetchone()[0]
            return Swept(
                ended=tuple(statements.session_of(row) for row in ended),
                audiences=tuple(statements.snapshot_of(db, session) for session in shrunk),
                next_due_ms=next_due,
            )

        return await self._committer.run(work)

    async def live_page(self, cursor: str, *, limit: int, now_ms: int) -> Page:
        """See SessionStore; in the order of the codes, and a cursor is a code."""

        def work(db: sqlite3.Connection) -> Page:
            rows = db.execute(
                "SELECT * FROM sessions WHERE ended = 0 AND ends_at_ms > ? AND session_id > ?"
                " ORDER BY session_id LIMIT ?",
                (now_ms, cursor, limit + 1),
            ).fetchall()
            shown = tuple(statements.snapshot_of(db, statements.session_of(row)) for row in rows[:limit])
            return Page(shown, shown[-1].session.session_id if len(rows) > limit else "")

        return await self._committer.run(work)

    async def renew_lease(self, gateway_id: str, *, until_ms: int) -> bool:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> bool:
            row = db.execute(
                "INSERT INTO leases VALUES (?, ?, 0) ON CONFLICT (gateway_id)"
                " DO UPDATE SET until_ms = excluded.until_ms WHERE lapsed = 0 RETURNING gateway_id",
                (gateway_id, until_ms),
            ).fetchone()
            return row is not None

        return await self._committer.run(work)

    async def lapse(self, *, due_ms: int, settled_ms: int) -> Lapses:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Lapses:
            db.execute("DELETE FROM leases WHERE lapsed = 1 AND until_ms < ?", (due_ms - _LAPSED_KEPT_MS,))
            db.execute(
                "UPDATE leases SET lapsed = 1, until_ms = ?1 WHERE lapsed = 0 AND until_ms <= ?1", (due_ms,)
            )
            lapsed = db.execute(
                "SELECT gateway_id FROM leases WHERE lapsed = 1 AND until_ms > ? ORDER BY until_ms",
                (settled_ms,),
            ).fetchall()
            next_due: int | None = db.execute("SELECT min(until_ms) FROM leases WHERE lapsed = 0").fetchone()[
                0
            ]
            return Lapses(tuple(row["gateway_id"] for row in lapsed), next_due)

        return await self._committer.run(work)

    async def connections_of(self, gateway_id: str) -> tuple[str, ...]:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> tuple[str, ...]:
            rows = db.execute(
                "SELECT connection_id FROM seats WHERE present AND gateway_id <> '' AND gateway_id = ?"
                " AND session_id IN (SELECT session_id FROM sessions WHERE ended = 0)",
                (gateway_id,),
            )
            return tuple(row["connection_id"] for row in rows.fetchall())

        return await self._committer.run(work)

    async def aclose(self) -> None:
        """See SessionStore."""
        await self._committer.aclose()

    async def _admit(
        self,
        connection_id: str,
        charge: Charge | None,
        add: Callable[[sqlite3.Connection], ResultT],
        *,
        now_ms: int,
    ) -> ResultT:
        """Seat a connection without a seat once it has paid, in one go: each trip to the thread costs."""

        def work(db: sqlite3.Connection) -> ResultT | StoreError:
            statements.require_no_seat(db, connection_id, now_ms)
            try:
                if charge is not None:
                    statements.pay(db, charge, now_ms)
                return add(db)
            except StoreError as refusal:
                return refusal  # not raised here, which would undo the payment

        outcome = await self._committer.run(work)
        if isinstance(outcome, StoreError):
            raise outcome
        return outcome


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)
    connection.row_factory = sqlite3.Row
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    try:
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection
