"""The conditional writes that operations are made of: values in, writes out.

The condition of each says all that its operation relies on, so that a transaction of them can be decided upon
with what was read before, and is refused as a whole when that no longer holds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from session_svc.model import Controls, EndReason, Role, Seat, Session
from session_svc.store.base import Handover
from session_svc.store.dynamodb import rows
from session_svc.store.dynamodb.calls import Write
from session_svc.store.dynamodb.rows import ENDED, HELD, LAPSED, OPEN, Item, Value, codes, flag, number, text
from session_svc.store.dynamodb.tables import TableNames

LIVE: Final = "#phase = :open AND #endsAt > :now"
_ITS_SPEAKER: Final = f"{LIVE} AND #speakerPresent = :yes AND #speakerConnectionId = :connection"
_CONSTANTS: Final[dict[str, Value]] = {
    "open": text(OPEN),
    "ended": text(ENDED),
    "yes": flag(True),
    "no": flag(False),
    "one": number(1),
    "zero": number(0),
}
_REVISED: Final = "#revision = if_not_exists(#revision, #createdAt) + :one"
_PLUS: Final = "#languages.#gained = if_not_exists(#languages.#gained, :zero) + :one"


@dataclass(frozen=True, slots=True)
class Writes:
    """Writes to tables of these names at `now_ms`."""

    tables: TableNames
    now_ms: int

    # --- seats

    def put_seat(self, seat: Seat, *, over: Seat | None) -> Write:
        """Add a seat where there is none, or over one that was read before."""
        condition, values = _as_read(over)
        return Write("Put", self.tables.connections, rows.seat_item(seat), condition, values)

    def pass_on(self, old: Seat, seat: Seat) -> list[Write]:
        """Remove a seat that was read before, and say where its former connection's seat is now."""
        former = seat.former
        if former is None or former.connection_id == seat.connection_id:
            return [self.delete_seat(old)]
        moved = rows.moved_item(former, seat.connection_id)
        if former.connection_id == old.connection_id:
            return [Write("Put", self.tables.connections, moved, *_as_read(old))]
        return [self.delete_seat(old), Write("Put", self.tables.connections, moved, *_as_read(None))]

    def delete_seat(self, seat: Seat) -> Write:
        """Remove a seat that was read before."""
        return Write("Delete", self.tables.connections, connection_key(seat.connection_id), *_as_read(seat))

    def update_seat(self, seat: Seat, update: str, **values: Value) -> Write:
        """Change a seat that was read before."""
        condition, as_read = _as_read(seat)
        return Write(
            "Update",
            self.tables.connections,
            connection_key(seat.connection_id),
            condition,
            {**as_read, **values},
            update,
        )

    # --- sessions

    def put_session(self, session: Session) -> Write:
        """Add a session where there is none."""
        absent = "attribute_not_exists(#sessionId)"
        return Write("Put", self.tables.sessions, rows.session_item(session), absent)

    def require_live(self, session_id: str) -> Write:
        """Nothing but the condition that the session is live."""
        return Write("ConditionCheck", self.tables.sessions, session_key(session_id), LIVE, self._values())

    def require_absent(self, session_id: str) -> Write:
        """Nothing but the condition that there is no such session."""
        return Write(
            "ConditionCheck",
            self.tables.sessions,
            session_key(session_id),
            "attribute_not_exists(#sessionId)",
        )

    def require_over(self, session_id: str) -> Write:
        """Nothing but the condition that there is no such session, or that it is over."""
        over = "attribute_not_exists(#sessionId) OR #phase = :ended OR #endsAt <= :now"
        return Write("ConditionCheck", self.tables.sessions, session_key(session_id), over, self._values())

    def add_listener(self, session_id: str, language: str, *, capacity: int) -> Write:
        """Count one more in a live session that has room."""
        return self._session(
            session_id,
            f"SET #listenerCount = #listenerCount + :one, {_PLUS}",
            f"{LIVE} AND #listenerCount < :capacity",
            {"capacity": number(capacity)},
            gained=language,
        )

    def move_listener(self, session_id: str, old: str, new: str) -> Write:
        """Count one in another language in a live session."""
        return self._session(
            session_id,
            f"SET #languages.#lost = #languages.#lost - :one, {_PLUS}",
            LIVE,
            {},
            lost=old,
            gained=new,
        )

    def remove_listener(self, session_id: str, language: str) -> Write:
        """Count one less in a live session."""
        return self._remove_listeners(session_id, {language: 1}, LIVE)

    def remove_listener_of_over(self, session_id: str, language: str) -> Write:
        """Count one less in a session that is over."""
        over = "attribute_exists(#sessionId) AND (#phase = :ended OR #endsAt <= :now)"
        return self._remove_listeners(session_id, {language: 1}, over)

    def give_up(self, session_id: str, seats: Sequence[Seat]) -> list[Write]:
        """Remove listeners' seats that were read before from their session, live or over."""
        present = Counter(seat.target_language for seat in seats if seat.present)
        deletes = [self.delete_seat(seat) for seat in seats]
        if not present:
            return deletes
        return [self._remove_listeners(session_id, present, "attribute_exists(#sessionId)"), *deletes]

    def _remove_listeners(self, session_id: str, counts: Mapping[str, int], condition: str) -> Write:
        changes = ["#listenerCount = #listenerCount - :all"]
        values = {"all": number(sum(counts.values()))}
        languages: dict[str, str] = {}
        for place, (language, count) in enumerate(counts.items()):
            changes.append(f"#languages.#lost{place} = #languages.#lost{place} - :count{place}")
            values[f"count{place}"] = number(count)
            languages[f"lost{place}"] = language
        return self._session(session_id, f"SET {', '.join(changes)}", condition, values, **languages)

    def start_grace(self, session: Session, until_ms: int) -> Write:
        """The speaker of a live session is gone; it ends then, if not before."""
        ends_at_ms = min(session.expires_at_ms, until_ms)
        reason = EndReason.SPEAKER_DISCONNECTED if until_ms < session.expires_at_ms else EndReason.EXPIRED
        return self._session(
            session.session_id,
            "SET #speakerPresent = :no, #endsAt = :ends, #endReason = :reason, #ttl = :ttl",
            f"{_ITS_SPEAKER} AND #expiresAt = :expires",
            {
                "connection": text(session.speaker_connection_id),
                "expires": number(session.expires_at_ms),
                "ends": number(ends_at_ms),
                "reason": text(reason),
                "ttl": rows.ttl(ends_at_ms),
            },
        )

    def renew_speaker(self, handover: Handover) -> Write:
        """The session is this connection's until the new time."""
        return self._session(
            handover.seat.session_id,
            "SET #speakerConnectionId = :connection, #speakerPresent = :yes, #expiresAt = :expires,"
            " #endsAt = :expires, #endReason = :reason, #ttl = :ttl,"
            " #ownerEpoch = if_not_exists(#ownerEpoch, :one) + :one",
            LIVE,
            {
                "connection": text(handover.seat.connection_id),
                "expires": number(handover.expires_at_ms),
                "reason": text(EndReason.EXPIRED),
                "ttl": rows.ttl(handover.expires_at_ms),
            },
        )

    def control(self, session_id: str, connection_id: str, controls: Controls, *, change_ms: int) -> Write:
        """Set the given controls if that changes any, and the last change was earlier; at least one must be
        given.
        """
        given: dict[str, Value] = {}
        if controls.is_paused is not None:
            given["isPaused"] = flag(controls.is_paused)
        if controls.is_muted is not None:
            given["isMuted"] = flag(controls.is_muted)
        if controls.volume is not None:
            given["volume"] = number(controls.volume)
        settings = ", ".join(f"#{name} = :{name}" for name in given)
        differences = " OR ".join(f"#{name} <> :{name}" for name in given)
        return self._session(
            session_id,
            f"SET {settings}, #lastChangeAt = :change",
            f"{_ITS_SPEAKER} AND #lastChangeAt < :change AND ({differences})",
            {"connection": text(connection_id), "change": number(change_ms), **given},
        )

    def end(self, session_id: str, connection_id: str | None, reason: str, *, by: str) -> Write:
        """The speaker, or for None whoever asks, ends a live session."""
        return self._session(
            session_id,
            "SET #phase = :ended, #endsAt = :now, #endReason = :reason, #endedBy = :by, #ttl = :ttl",
            LIVE if connection_id is None else _ITS_SPEAKER,
            {
                "connection": text(connection_id or ""),
                "reason": text(reason),
                "by": text(by),
                "ttl": rows.ttl(self.now_ms),
            },
        )

    def carry_out_end(self, session_id: str, *, by: str) -> Write:
        """A session that is over by its time has ended."""
        return self._session(
            session_id,
            "SET #phase = :ended, #endedBy = :by",
            "#phase = :open AND #endsAt <= :now",
            {"by": text(by)},
        )

    def forget(self, session: Session) -> Write:
        """Remove a session that ended, was read before, and has no listeners any more."""
        return Write(
            "Delete",
            self.tables.sessions,
            session_key(session.session_id),
            "#phase = :ended AND #endsAt = :ends AND #listenerCount = :zero",
            {**_CONSTANTS, "ends": number(session.ends_at_ms)},
        )

    # --- speakers

    def note_session(self, session: Session, *, at_most: int) -> Write:
        """Note a session of a speaker for whom fewer than that are noted."""
        return self._speaker(
            session,
            "SET #ttl = :ttl ADD #sessions :code",
            "attribute_not_exists(#sessions) OR size(#sessions) < :most",
            {"code": codes([session.session_id]), "most": number(at_most)},
        )

    def replace_sessions(self, session: Session, read: frozenset[str], over: frozenset[str]) -> list[Write]:
        """Note a session in the place of those that are over, where what was read is noted."""
        noted = self._speaker(
            session,
            "SET #ttl = :ttl, #sessions = :next",
            "#sessions = :read",
            {"read": codes(read), "next": codes((read - over) | {session.session_id})},
        )
        return [noted, *(self.require_over(code) for code in sorted(over - {session.session_id}))]

    def keep_sessions(self, session: Session, expires_at_ms: int) -> Write:
        """Let a speaker's row live as long as this session, which is noted there."""
        return self._speaker(
            replace(session, ends_at_ms=expires_at_ms),
            "SET #ttl = :ttl",
            "contains(#sessions, :code)",
            {"code": text(session.session_id)},
        )

    def _speaker(self, session: Session, update: str, condition: str, values: dict[str, Value]) -> Write:
        return Write(
            "Update",
            self.tables.sessions,
            rows.speaker_key(session.speaker_id),
            condition,
            {"ttl": rows.ttl(session.ends_at_ms), **values},
            update,
        )

    # --- leases

    def renew_lease(self, gateway_id: str, until_ms: int) -> Write:
        """Let a lease run until then unless it has lapsed."""
        return self._lease(
            gateway_id,
            "SET #untilAt = :until, #shard = :held, #ttl = :ttl",
            "attribute_not_exists(#connectionId) OR #shard = :held",
            until_ms,
        )

    def lapse_lease(self, gateway_id: str, at_ms: int) -> Write:
        """Let a lease lapse that ran out until then."""
        return self._lease(
            gateway_id,
            "SET #untilAt = :until, #shard = :lapsed, #ttl = :ttl",
            "#shard = :held AND #untilAt <= :until",
            at_ms,
        )

    def settle_lease(self, gateway_id: str, settled_ms: int) -> Write:
        """Take a lease that lapsed until then out of the index; its row stays until its time."""
        return self._lease(
            gateway_id, "REMOVE #shard, #untilAt", "#shard = :lapsed AND #untilAt <= :until", settled_ms
        )

    def _lease(self, gateway_id: str, update: str, condition: str, until_ms: int) -> Write:
        return Write(
            "Update",
            self.tables.connections,
            rows.lease_key(gateway_id),
            condition,
            {
                "until": number(until_ms),
                "held": text(HELD),
                "lapsed": text(LAPSED),
                "ttl": rows.ttl(until_ms),
            },
            update,
        )

    def _session(
        self, session_id: str, update: str, condition: str, values: dict[str, Value], **aliases: str
    ) -> Write:
        return Write(
            "Update",
            self.tables.sessions,
            session_key(session_id),
            condition,
            {**self._values(), **values},
            f"{update}, {_REVISED}",
            aliases,
        )

    def _values(self) -> dict[str, Value]:
        return {**_CONSTANTS, "now": number(self.now_ms)}


def session_key(session_id: str) -> Item:
    """The key of a session's row."""
    return {"sessionId": text(session_id)}


def connection_key(connection_id: str) -> Item:
    """The key of a seat's row."""
    return {"connectionId": text(connection_id)}


def _as_read(seat: Seat | None) -> tuple[str, dict[str, Value]]:
    """The condition that a seat is still as it was read."""
    if seat is None:
        return "attribute_not_exists(#sessionId)", {}
    condition = (
        "#sessionId = :session AND #role = :role AND #tokenHash = :hash AND #present = :present"
        " AND #untilAt = :until"
    )
    values: dict[str, Value] = {
        "session": text(seat.session_id),
        "role": text(seat.role),
        "hash": {"B": seat.token_hash},
        "present": flag(seat.present),
        "until": number(seat.until_ms),
    }
    if seat.role is Role.LISTENER:
        condition += " AND #targetLanguage = :language"
        values["language"] = text(seat.target_language)
    return condition, values
