"""The record in one SQLite file: conditions are checked in the transaction that acts on them."""

import sqlite3
from pathlib import Path
from typing import Self, TypeAlias

import msgspec

from session_svc import quotas
from session_svc.model import (
    Audience,
    Broadcast,
    Controls,
    EndReason,
    Life,
    Role,
    Seat,
    Session,
    Settings,
    Snapshot,
)
from session_svc.quotas import Quota, Verdict
from session_svc.store.base import Change, CodeTaken, Handover, Lapses, Page, Refused, Swept
from session_svc.store.committer import Committer
from session_svc.store.schema import migrate

_Row: TypeAlias = sqlite3.Row
_US_PER_MS = 1000
_LAPSED_KEPT_MS = 86_400_000

_SESSION = "SELECT * FROM sessions WHERE session_id = ?"
_SEAT = "SELECT * FROM seats WHERE connection_id = ?"
_LISTENERS = "role = 'listener' AND present"


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

    async def create(self, session: Session, speaker: Seat, *, now_ms: int) -> None:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> None:
            if db.execute(_SESSION, (session.session_id,)).fetchone() is not None:
                raise CodeTaken
            _require_no_seat(db, speaker.connection_id, now_ms)
            _insert_session(db, session)
            _insert_seat(db, speaker)

        await self._committer.run(work)

    async def find(self, session_id: str) -> Snapshot | None:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Snapshot | None:
            session = _find(db, session_id)
            return None if session is None else _snapshot(db, session)

        return await self._committer.run(work)

    async def seat(self, connection_id: str) -> Seat | None:
        """See SessionStore."""
        return await self._committer.run(lambda db: _seat(db, connection_id))

    async def join(self, seat: Seat, *, capacity: int, now_ms: int) -> Snapshot:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Snapshot:
            session = _require_live(db, seat.session_id, now_ms)
            _require_no_seat(db, seat.connection_id, now_ms)
            _require_room(db, seat.session_id, capacity)
            _insert_seat(db, seat)
            return _snapshot(db, session)

        return await self._committer.run(work)

    async def hand_over(self, handover: Handover, *, now_ms: int) -> Change:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Change:
            seat = handover.seat
            old = _seat(db, handover.old_connection_id)
            if old is None or old.token_hash != handover.expected_hash or not _resumable(old, seat, now_ms):
                raise Refused
            session = _require_live(db, old.session_id, now_ms)
            if old.present or old.connection_id != seat.connection_id:
                _require_no_seat(db, seat.connection_id, now_ms)
            if seat.role is Role.LISTENER and not old.present:
                _require_room(db, old.session_id, handover.capacity)
            db.execute("DELETE FROM seats WHERE connection_id = ?", (old.connection_id,))
            _insert_seat(db, seat)
            if seat.role is Role.SPEAKER:
                db.execute(
                    "UPDATE sessions SET speaker_connection_id = ?1, expires_at_ms = ?2, ends_at_ms = ?2,"
                    " end_reason = ?3 WHERE session_id = ?4",
                    (seat.connection_id, handover.expires_at_ms, EndReason.EXPIRED, session.session_id),
                )
            changed = seat.role is Role.LISTENER and (
                not old.present or old.target_language != seat.target_language
            )
            return Change(_snapshot(db, _require_live(db, session.session_id, now_ms)), changed)

        return await self._committer.run(work)

    async def rotate(self, connection_id: str, token_hash: bytes, *, now_ms: int) -> Snapshot:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Snapshot:
            _, session = _require_seat(db, connection_id, now_ms)
            db.execute("UPDATE seats SET token_hash = ? WHERE connection_id = ?", (token_hash, connection_id))
            return _snapshot(db, session)

        return await self._committer.run(work)

    async def change_language(self, connection_id: str, language: str, *, now_ms: int) -> Change:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Change:
            seat, session = _require_seat(db, connection_id, now_ms)
            if seat.role is not Role.LISTENER:
                raise Refused
            db.execute(
                "UPDATE seats SET target_language = ? WHERE connection_id = ?", (language, connection_id)
            )
            return Change(_snapshot(db, session), changed=seat.target_language != language)

        return await self._committer.run(work)

    async def update_broadcast(
        self, session_id: str, connection_id: str, controls: Controls, *, now_ms: int
    ) -> Change:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Change:
            session = _require_speaker(db, session_id, connection_id, now_ms)
            row = db.execute(
                "UPDATE sessions SET is_paused = coalesce(?1, is_paused), is_muted = coalesce(?2, is_muted),"
                " volume = coalesce(?3, volume), last_change_ms = max(?4, last_change_ms + 1)"
                " WHERE session_id = ?5 AND ("
                " is_paused <> coalesce(?1, is_paused) OR is_muted <> coalesce(?2, is_muted)"
                " OR volume <> coalesce(?3, volume)) RETURNING *",
                (controls.is_paused, controls.is_muted, controls.volume, now_ms, session_id),
            ).fetchone()
            return Change(
                _snapshot(db, session if row is None else _session_of(row)), changed=row is not None
            )

        return await self._committer.run(work)

    async def end(self, session_id: str, connection_id: str | None, reason: str, *, now_ms: int) -> Snapshot:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Snapshot:
            if connection_id is None:
                _require_live(db, session_id, now_ms)
            else:
                _require_speaker(db, session_id, connection_id, now_ms)
            row = db.execute(
                "UPDATE sessions SET ended = 1, ends_at_ms = ?, end_reason = ? WHERE session_id = ?"
                " RETURNING *",
                (now_ms, reason, session_id),
            ).fetchone()
            return _snapshot(db, _session_of(row))

        return await self._committer.run(work)

    async def leave(
        self, connection_id: str, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int
    ) -> tuple[Role, Snapshot] | None:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> tuple[Role, Snapshot] | None:
            try:
                seat, _ = _require_seat(db, connection_id, now_ms)
            except Refused:
                return None
            until_ms = grace_until_ms if seat.role is Role.SPEAKER else resumable_until_ms
            db.execute(
                "UPDATE seats SET present = 0, until_ms = ? WHERE connection_id = ?",
                (until_ms, connection_id),
            )
            if seat.role is Role.SPEAKER:
                _start_grace(db, "session_id = ?4", (seat.session_id,), grace_until_ms)
            session = _find(db, seat.session_id)
            return None if session is None else (seat.role, _snapshot(db, session))

        return await self._committer.run(work)

    async def leave_all(self, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int) -> None:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> None:
            _start_grace(
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
                session
                for session_id in sorted({row["session_id"] for row in given_up if row["present"]})
                if (session := _find(db, session_id)) is not None and session.life(now_ms) is Life.LIVE
            ]
            next_due: int | None = db.execute(
                "SELECT min(due) FROM (SELECT min(ends_at_ms) AS due FROM sessions WHERE ended = 0"
                " UNION ALL SELECT min(until_ms) FROM seats WHERE role = 'listener')"
            ).fetchone()[0]
            return Swept(
                ended=tuple(_session_of(row) for row in ended),
                audiences=tuple(_snapshot(db, session) for session in shrunk),
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
            shown = tuple(_snapshot(db, _session_of(row)) for row in rows[:limit])
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

    async def take(self, key: str, quota: Quota, *, now_ms: int) -> Verdict:
        """See SessionStore."""

        def work(db: sqlite3.Connection) -> Verdict:
            row = db.execute("SELECT full_at_us FROM rates WHERE rate_key = ?", (key,)).fetchone()
            verdict = quotas.take(quota, 0 if row is None else int(row[0]), now_ms=now_ms)
            db.execute("INSERT OR REPLACE INTO rates VALUES (?, ?)", (key, verdict.full_at_us))
            return verdict

        return await self._committer.run(work)

    async def aclose(self) -> None:
        """See SessionStore."""
        await self._committer.aclose()


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


def _find(db: sqlite3.Connection, session_id: str) -> Session | None:
    row = db.execute(_SESSION, (session_id,)).fetchone()
    return None if row is None else _session_of(row)


def _seat(db: sqlite3.Connection, connection_id: str) -> Seat | None:
    row = db.execute(_SEAT, (connection_id,)).fetchone()
    if row is None:
        return None
    return Seat(
        connection_id=row["connection_id"],
        session_id=row["session_id"],
        role=Role(row["role"]),
        token_hash=row["token_hash"],
        until_ms=row["until_ms"],
        target_language=row["target_language"],
        request_id=row["request_id"],
        present=bool(row["present"]),
        gateway_id=row["gateway_id"],
    )


def _snapshot(db: sqlite3.Connection, session: Session) -> Snapshot:
    rows = db.execute(
        f"SELECT target_language, count(*) FROM seats WHERE session_id = ? AND {_LISTENERS}"  # noqa: S608
        " GROUP BY target_language",
        (session.session_id,),
    )
    return Snapshot(session, Audience(dict(rows.fetchall())))


def _require_live(db: sqlite3.Connection, session_id: str, now_ms: int) -> Session:
    session = _find(db, session_id)
    if session is None or session.life(now_ms) is not Life.LIVE:
        raise Refused
    return session


def _require_speaker(db: sqlite3.Connection, session_id: str, connection_id: str, now_ms: int) -> Session:
    seat, session = _require_seat(db, connection_id, now_ms)
    if seat.role is not Role.SPEAKER or seat.session_id != session_id:
        raise Refused
    return session


def _require_seat(db: sqlite3.Connection, connection_id: str, now_ms: int) -> tuple[Seat, Session]:
    seat = _seat(db, connection_id)
    if seat is None or not seat.present:
        raise Refused
    return seat, _require_live(db, seat.session_id, now_ms)


def _require_no_seat(db: sqlite3.Connection, connection_id: str, now_ms: int) -> None:
    """Refuse a connection with a seat that counts; clear away one that does not."""
    try:
        _require_seat(db, connection_id, now_ms)
    except Refused:
        db.execute("DELETE FROM seats WHERE connection_id = ?", (connection_id,))
    else:
        raise Refused


def _require_room(db: sqlite3.Connection, session_id: str, capacity: int) -> None:
    listeners = db.execute(
        f"SELECT count(*) FROM seats WHERE session_id = ? AND {_LISTENERS}",  # noqa: S608
        (session_id,),
    ).fetchone()[0]
    if listeners >= capacity:
        raise Refused


def _resumable(old: Seat, new: Seat, now_ms: int) -> bool:
    """Whether the old seat is still there to be taken; a speaker's time is its session's."""
    same = old.session_id == new.session_id and old.role is new.role
    return same and (old.role is Role.SPEAKER or old.until_ms > now_ms)


def _start_grace(db: sqlite3.Connection, where: str, values: tuple[str | int, ...], until_ms: int) -> None:
    db.execute(
        "UPDATE sessions SET ends_at_ms = min(expires_at_ms, ?1),"  # noqa: S608 - `where` is a constant
        f" end_reason = iif(?1 < expires_at_ms, ?2, ?3) WHERE {where}",
        (until_ms, EndReason.SPEAKER_DISCONNECTED, EndReason.EXPIRED, *values),
    )


def _insert_session(db: sqlite3.Connection, session: Session) -> None:
    db.execute(
        "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session.session_id,
            session.speaker_id,
            session.speaker_connection_id,
            msgspec.json.encode(session.settings).decode(),
            session.broadcast.is_paused,
            session.broadcast.is_muted,
            session.broadcast.volume,
            session.broadcast.last_change_ms,
            session.created_at_ms,
            session.expires_at_ms,
            session.ends_at_ms,
            session.end_reason,
            session.ended,
        ),
    )


def _insert_seat(db: sqlite3.Connection, seat: Seat) -> None:
    db.execute(
        "INSERT INTO seats VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            seat.connection_id,
            seat.session_id,
            seat.role,
            seat.target_language,
            seat.token_hash,
            seat.request_id,
            seat.present,
            seat.until_ms,
            seat.gateway_id,
        ),
    )


def _session_of(row: _Row) -> Session:
    return Session(
        session_id=row["session_id"],
        speaker_id=row["speaker_id"],
        speaker_connection_id=row["speaker_connection_id"],
        settings=msgspec.json.decode(row["settings"], type=Settings),
        broadcast=Broadcast(
            is_paused=bool(row["is_paused"]),
            is_muted=bool(row["is_muted"]),
            volume=row["volume"],
            last_change_ms=row["last_change_ms"],
        ),
        created_at_ms=row["created_at_ms"],
        expires_at_ms=row["expires_at_ms"],
        ends_at_ms=row["ends_at_ms"],
        end_reason=row["end_reason"],
        ended=bool(row["ended"]),
    )
