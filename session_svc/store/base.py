"""The port to the record of sessions: conditional operations, each atomic in itself.

StoreError
├── CodeTaken         another session has this code
├── SpeakerBusy       the speaker has as many sessions as allowed
├── UsedUp            the quota that pays for the operation has nothing left
├── Refused           a condition of the operation did not hold
└── StoreUnavailable  the store cannot answer now; whether a change was made is not known

After all but the last nothing was changed, except that a charge may have been made (`Charge`).

An operation that is Refused does not say why, since not every store can tell: `sessions.py` reads what there
is and names the reason. No caller ever writes back what it has read. "Live" below means a session that is not
over at `now_ms`; a seat counts only while it is present in a live session.
"""

from dataclasses import dataclass
from typing import Protocol

from babelcast.errors import ServiceUnavailable
from session_svc.model import Controls, Role, Seat, Session, Snapshot
from session_svc.quotas import Quota


class StoreError(Exception):
    """Something a store says no to."""


class CodeTaken(StoreError):
    """The session id is in use, or was until recently."""


class SpeakerBusy(StoreError):
    """The speaker has as many live sessions as allowed; by their times a place is free at `free_ms`."""

    def __init__(self, free_ms: int) -> None:
        super().__init__(free_ms)
        self.free_ms = free_ms


class UsedUp(StoreError):
    """A quota has nothing left; it has again in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class Refused(StoreError):
    """The operation's condition did not hold."""


class StoreUnavailable(StoreError, ServiceUnavailable):
    """The store is gone, full, overloaded or broken; travels to clients as what it is.

    The cause is chained, and not for clients.
    """

    def __init__(self, message: str = "The record of sessions cannot be used right now.") -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Charge:
    """One unit of the quota under `key`: the price of a seat. `what` names the quota for people.

    Whoever has a seat that counts is not charged; everybody else is, whatever becomes of the operation. While
    quotas cannot be asked for, nobody is charged, which is counted and logged.
    """

    key: str
    what: str
    quota: Quota


@dataclass(frozen=True, slots=True)
class Handover:
    """A seat that passes from one connection to another.

    The condition: the old seat exists in a live session, still with `expected_hash`, and the new connection
    has no seat that counts. `seat` is the seat as it will be; its `former` is the old one, or the same as the
    old one's. For a speaker the session is his again until
    `expires_at_ms`, and its `owner_epoch` is one more; a listener who had left needs room under `capacity`.
    """

    old_connection_id: str
    expected_hash: bytes
    seat: Seat
    expires_at_ms: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Change:
    """A session after an operation, and whether the operation changed what others see."""

    snapshot: Snapshot
    changed: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: sessions that ended, sessions that lost abandoned seats, and when more is due."""

    ended: tuple[Session, ...]
    audiences: tuple[Snapshot, ...]
    next_due_ms: int | None


@dataclass(frozen=True, slots=True)
class Lapses:
    """Gateways that have been taken for gone of late, and when the next lease runs out."""

    gateway_ids: tuple[str, ...]
    next_due_ms: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some sessions, and the cursor for those after them, empty when there are none."""

    snapshots: tuple[Snapshot, ...]
    cursor: str


class SessionStore(Protocol):
    """Every method may raise StoreUnavailable."""

    async def create(
        self, session: Session, speaker: Seat, *, charge: Charge | None = None, at_most: int = 0, now_ms: int
    ) -> None:
        """Add a session and its speaker's seat. The speaker may have `at_most` live sessions; 0: any number.

        Raises, and looks in this order: Refused when the connection has a seat that counts; UsedUp;
        SpeakerBusy; CodeTaken.
        """
        ...

    async def find(self, session_id: str) -> Snapshot | None:
        """The session, over or not, until it is forgotten."""
        ...

    async def seat(self, connection_id: str) -> Seat | None:
        """The connection's seat, whether or not it counts."""
        ...

    async def successor(self, connection_id: str) -> Seat | None:
        """The seat whose `former` connection that is: it was handed over from there last."""
        ...

    async def join(self, seat: Seat, *, capacity: int, charge: Charge | None = None, now_ms: int) -> Snapshot:
        """Add a listener.

        Raises: Refused when the connection has a seat that counts; UsedUp; Refused when the session is not
        live or has `capacity` listeners.
        """
        ...

    async def hand_over(self, handover: Handover, *, now_ms: int) -> Change:
        """Pass a seat on; the old connection's seat is gone after it.

        Raises: Refused.
        """
        ...

    async def rotate(self, connection_id: str, token_hash: bytes, *, now_ms: int) -> Snapshot:
        """Give a seat that counts another resume token.

        Raises: Refused when there is no such seat.
        """
        ...

    async def change_language(self, connection_id: str, language: str, *, now_ms: int) -> Change:
        """Move a listener to another language.

        Raises: Refused when the connection has no listener's seat that counts.
        """
        ...

    async def update_broadcast(
        self, session_id: str, connection_id: str, controls: Controls, *, now_ms: int
    ) -> Change:
        """Set the given controls. `last_change_ms` grows with each change, also when the clock goes back.

        Raises: Refused when the session is not live or the connection is not its speaker's.
        """
        ...

    async def end(self, session_id: str, connection_id: str | None, reason: str, *, now_ms: int) -> Snapshot:
        """End a session; the snapshot has its last audience.

        Raises: Refused when the session is not live or the connection is not its speaker's; None stands for
        any.
        """
        ...

    async def leave(
        self, connection_id: str, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int
    ) -> tuple[Role, Snapshot] | None:
        """Note that a connection is gone; returns what it was.

        A listener's seat is left, and may be resumed until `resumable_until_ms`. A speaker's session ends at
        `grace_until_ms` if not before. None when the connection has no seat that counts.
        """
        ...

    async def leave_all(self, *, grace_until_ms: int, resumable_until_ms: int, now_ms: int) -> None:
        """`leave` for every connection: after a restart that took all gateways along."""
        ...

    async def sweep(self, *, now_ms: int, forget_before_ms: int) -> Swept:
        """Carry out what time has decided.

        Sessions due are ended, listeners' seats due are given up, and sessions that ended before
        `forget_before_ms` are forgotten with their seats. Each ended session is reported by exactly one
        sweep.
        """
        ...

    async def live_page(self, cursor: str, *, limit: int, now_ms: int) -> Page:
        """At most `limit` of the live sessions, those after a page's cursor; "" for the first page.

        Raises: InvalidParameter when the cursor cannot be one of this store's.
        """
        ...

    async def renew_lease(self, gateway_id: str, *, until_ms: int) -> bool:
        """Let a gateway's lease run until then, its first one too; False when it has lapsed.

        A lease that has run out is still renewed until `lapse` has seen it; one that has lapsed never is, for
        a day at least.
        """
        ...

    async def lapse(self, *, due_ms: int, settled_ms: int) -> Lapses:
        """Let the leases lapse that ran out until `due_ms`.

        Names them, and those that lapsed after `settled_ms`: what was under way at that moment may have added
        seats since, and whoever was to see to the seats may have crashed.
        """
        ...

    async def connections_of(self, gateway_id: str) -> tuple[str, ...]:
        """The connections that depend on that lease and are present; some may be gone by now."""
        ...

    async def aclose(self) -> None:
        """Finish what is queued and close; idempotent."""
        ...
