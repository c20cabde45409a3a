"""Why a store refused: what it did not say, read from what there is."""

from babelcast.errors import BabelcastError, Conflict, SessionFull, Unauthorized
from session_svc import roles
from session_svc.config import Policy
from session_svc.model import Life, Role, Seat, Session
from session_svc.resuming import claim
from session_svc.roles import Action
from session_svc.store.base import SessionStore


class Reasons:
    """Looks at a store after it refused."""

    def __init__(self, store: SessionStore, policy: Policy) -> None:
        self._store = store
        self._policy = policy

    async def seat_that_counts(self, connection_id: str, now_ms: int) -> tuple[Seat, Session] | None:
        """The seat a connection holds in a live session."""
        seat = await self._store.seat(connection_id)
        if seat is None or not seat.present:
            return None
        snapshot = await self._store.find(seat.session_id)
        if snapshot is None or snapshot.session.life(now_ms) is not Life.LIVE:
            return None
        return seat, snapshot.session

    async def refusal(self, action: Action, code: str, connection_id: str, now_ms: int) -> BabelcastError:
        """Why an action on a session was refused."""
        against_rules = await self._against_rules(action, code, connection_id, now_ms)
        if against_rules is not None:
            return against_rules
        if action is Action.JOIN:
            return SessionFull(limit=self._policy.max_listeners)
        return Conflict("The session changed at this moment; try again.")

    async def no_handover(self, code: str, connection_id: str, token: str, now_ms: int) -> BabelcastError:
        """Why a resume token did not get its seat."""
        against_rules = await self._against_rules(Action.REFRESH, code, connection_id, now_ms)
        if against_rules is not None:
            return against_rules
        found = await claim(self._store, code, token, now_ms=now_ms, again_ms=self._policy.resume_ms)
        if found is None or (found.seat.role is Role.LISTENER and found.seat.until_ms <= now_ms):
            return Unauthorized("The resume token is not good, or not any more.")
        if found.seat.role is Role.LISTENER and not found.seat.present:
            return SessionFull(limit=self._policy.max_listeners)
        return Conflict("The session changed at this moment; try again.")

    async def _against_rules(
        self, action: Action, code: str, connection_id: str, now_ms: int
    ) -> BabelcastError | None:
        snapshot = await self._store.find(code) if code else None
        life = Life.ABSENT if snapshot is None else snapshot.session.life(now_ms)
        found = await self.seat_that_counts(connection_id, now_ms)
        who = roles.standing(code, None if found is None else found[0])
        refused = roles.rule(action, who, life)
        return None if refused is None else roles.refusal(refused, action, who, code)
