"""What the operations on the SQLite file are made of: rows to values and back, and conditions.

A condition raises Refused. All of an operation's conditions stand before its first change.
"""

import sqlite3

import msgspec

from session_svc import quotas
from session_svc.model import (
    Audience,
    Broadcast,
    EndReason,
    Former,
    Life,
    Role,
    Seat,
    Session,
    Settings,
    Snapshot,
)
from session_svc.store.base import Charge, CodeTaken, Refused, SpeakerBusy, UsedUp

_SESSION = "SELECT * FROM sessions WHERE session_id = ?"
_SEAT = "SELECT * FROM seats WHERE connection_id = ?"


def find_session(db: sqlite3.Connection, session_id: str) -> Session | None:
    """The session, over or not."""
    row = db.execute(_SESSION, (session_id,)).fetchone()
    return None if row is None else session_of(row)


def find_seat(db: sqlite3.Connection, connection_id: str) -> Seat | None:
    """The connection's seat, whether or not it counts."""
    row = db.execute(_SEAT, (connection_id,)).fetchone()
    return None if row is None else _seat_of(row)


def find_successor(db: sqlite3.Connection, connection_id: str) -> Seat | None:
    """The seat that was handed over from a connection last."""
    row = db.execute(
        "SELECT * FROM seats WHERE former_connection_id = ? ORDER BY rowid DESC LIMIT 1", (connection_id,)
    ).fetchone()
    return None if row is None else _seat_of(row)


def _seat_of(row: sqlite3.Row) -> Seat:
    former = None
    if row["former_connection_id"] is not None:
        former = Former(row["former_connection_id"], row["former_hash"], row["former_until_ms"])
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
        former=former,
    )


def snapshot_of(db: sqlite3.Connection, session: Session) -> Snapshot:
    """The session with its audience."""
    return Snapshot(session, audience(db, session.session_id))


def audience(db: sqlite3.Connection, session_id: str) -> Audience:
    """Who listens: the rows themselves."""
    rows = db.execute(
        "SELECT target_language, count(*) FROM seats"
        " WHERE session_id = ? AND role = 'listener' AND present GROUP BY target_language",
        (session_id,),
    )
    return Audience(dict(rows.fetchall()))


def require_live(db: sqlite3.Connection, session_id: str, now_ms: int) -> Session:
    """The session, which is live."""
    session = find_session(db, session_id)
    if session is None or session.life(now_ms) is not Life.LIVE:
        raise Refused
    return session


def require_speaker(db: sqlite3.Connection, session_id: str, connection_id: str, now_ms: int) -> Session:
    """The session, which is live and whose speaker this connection is."""
    seat, session = require_seat(db, connection_id, now_ms)
    if seat.role is not Role.SPEAKER or seat.session_id != session_id:
        raise Refused
    return session


def require_seat(db: sqlite3.Connection, connection_id: str, now_ms: int) -> tuple[Seat, Session]:
    """The connection's seat, which counts, and its session."""
    seat = find_seat(db, connection_id)
    if seat is None or not seat.present:
        raise Refused
    return seat, require_live(db, seat.session_id, now_ms)


def require_no_seat(db: sqlite3.Connection, connection_id: str, now_ms: int) -> None:
    """Refuse a connection with a seat that counts."""
    held = find_seat(db, connection_id)
    if held is None or not held.present:
        return
    session = find_session(db, held.session_id)
    if session is not None and session.life(now_ms) is Life.LIVE:
        raise Refused


def require_free_speaker(db: sqlite3.Connection, speaker_id: str, at_most: int, now_ms: int) -> None:
    """See that a speaker has fewer live sessions than `at_most`.

    Raises: SpeakerBusy. A place is free once all but the `at_most - 1` longest are over.
    """
    row = db.execute(
        "SELECT ends_at_ms FROM sessions WHERE speaker_id = ? AND ended = 0 AND ends_at_ms > ?"
        " ORDER BY ends_at_ms DESC LIMIT 1 OFFSET ?",
        (speaker_id, now_ms, at_most - 1),
    ).fetchone()
    if row is not None:
        raise SpeakerBusy(row[0])


def require_free_code(db: sqlite3.Connection, session_id: str) -> None:
    """Raises: CodeTaken."""
    if db.execute("SELECT 1 FROM sessions WHERE session_id = ?", (session_id,)).fetchone() is not None:
        raise CodeTaken


def pay(db: sqlite3.Connection, charge: Charge, now_ms: int) -> None:
    """Use one unit; a quota can be asked for whenever the record can.

    Raises: UsedUp.
    """
    row = db.execute("SELECT full_at_us FROM rates WHERE rate_key = ?", (charge.key,)).fetchone()
    verdict = quotas.take(charge.quota, 0 if row is None else row[0], now_ms=now_ms)
    db.execute("INSERT OR REPLACE INTO rates VALUES (?, ?)", (charge.key, verdict.full_at_us))
    if not verdict.granted:
        raise UsedUp(verdict.retry_after_s)


def require_room(db: sqlite3.Connection, session_id: str, capacity: int) -> Audience:
    """The audience, which is below `capacity`."""
    there = audience(db, session_id)
    if there.listener_count >= capacity:
        raise Refused
    return there


def require_resumable(old: Seat, new: Seat, now_ms: int) -> None:
    """See that the old seat is still there to be taken; a speaker's time is its session's."""
    if old.session_id != new.session_id or old.role is not new.role:
        raise Refused
    if old.role is Role.LISTENER and old.until_ms <= now_ms:
        raise Refused


def start_grace(db: sqlite3.Connection, where: str, values: tuple[str | int, ...], until_ms: int) -> None:
    """Let sessions end then, if not before; `where` uses ?4 and on for its values."""
    db.execute(
        "UPDATE sessions SET ends_at_ms = min(expires_at_ms, ?1),"  # noqa: S608 - `where` is a constant
        f" end_reason = iif(?1 < expires_at_ms, ?2, ?3) WHERE {where}",
        (until_ms, EndReason.SPEAKER_DISCONNECTED, EndReason.EXPIRED, *values),
    )


def count_change(db: sqlite3.Connection, session_id: str) -> Session:
    """The session, which is there, after one more change that others see."""
    row = db.execute(
        "UPDATE sessions SET revision = revision + 1 WHERE session_id = ? RETURNING *", (session_id,)
    ).fetchone()
    return session_of(row)


def insert_session(db: sqlite3.Connection, session: Session) -> None:
    """Add a session whose code is free."""
    db.execute(
        "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            session.owner_epoch,
            session.created_at_ms,  # the revision: above those of an older session with this code
        ),
    )


def insert_seat(db: sqlite3.Connection, seat: Seat) -> None:
    """Give a connection a seat, in place of one that does not count any more."""
    former = seat.former
    db.execute(
        "INSERT OR REPLACE INTO seats VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            *(
                (None, None, None)
                if former is None
                else (former.connection_id, former.token_hash, former.until_ms)
            ),
        ),
    )


def session_of(row: sqlite3.Row) -> Session:
    """The session in a row."""
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
        owner_epoch=row["owner_epoch"],
        revision=row["revision"],
    )
