"""The rules: who may do what with a session in which state, and what others hear of it.

Each change is one conditional operation of the store. When the store refuses, the rules look at what there is
and say why (`roles.py` has the table).
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from babelcast import languages
from babelcast.errors import (
    Conflict,
    InvalidParameter,
    MaxSessionsExceeded,
    MissingParameter,
    RateLimitExceeded,
    ServiceUnavailable,
    SessionNotFound,
    UnauthorizedAction,
)
from session_svc import ids, roles, tokens
from session_svc.config import Policy
from session_svc.ids import Below, Words
from session_svc.leases import Leases
from session_svc.model import (
    Audience,
    Broadcast,
    Controls,
    EndReason,
    Role,
    Seat,
    Session,
    Settings,
    Snapshot,
)
from session_svc.reasons import Reasons
from session_svc.resuming import claim
from session_svc.roles import Action, Standing
from session_svc.settings import checked
from session_svc.store.base import (
    Charge,
    CodeTaken,
    Handover,
    Page,
    Refused,
    SessionStore,
    SpeakerBusy,
    UsedUp,
)
from session_svc.tokens import RandomBytes

MAX_ID_CHARS = 128
MAX_WORD_CHARS = 64
USUAL_PAGE = 50
LARGEST_PAGE = 100
CODE_ATTEMPTS = 20
# a connection may outlive its nominal time a little before its seat is taken for abandoned
SEAT_SLACK_MS = 300_000
SPEAKER_HASH_CHARS = 16
MS_PER_S = 1000
CREATES = "new sessions"
JOINS = "joins from this address"

NowMs: TypeAlias = Callable[[], int]
"""The wall clock: ms since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Chance:
    """Where randomness comes from, and the key under which addresses and identities are hashed."""

    below: Below
    random_bytes: RandomBytes
    address_key: bytes


@dataclass(frozen=True, slots=True)
class Granted:
    """A seat, the secret to take it again, and for a seat taken over who had it before."""

    snapshot: Snapshot
    role: Role
    resume_token: str
    target_language: str = ""
    previous_connection_id: str = ""


class Sessions:
    """All sessions of a store. `deadline_moved` is called with the time (ms) at which something is due."""

    def __init__(
        self,
        store: SessionStore,
        policy: Policy,
        *,
        words: Words,
        now_ms: NowMs,
        chance: Chance,
        deadline_moved: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._policy = policy
        self._reasons = Reasons(store, policy)
        self._words = words
        self._now_ms = now_ms
        self._chance = chance
        self._deadline_moved = deadline_moved
        self.leases = Leases(
            store,
            length_ms=policy.lease_ms,
            now_ms=now_ms,
            disconnect=self.disconnect,
            deadline_moved=deadline_moved,
        )

    async def create(
        self,
        settings: Settings,
        *,
        request_id: str,
        speaker_id: str,
        connection_id: str,
        gateway_id: str = "",
    ) -> Granted:
        """Make a session for a speaker; a repeated request gets the same session and a fresh token.

        A request is repeated when speaker, connection and a non-empty `request_id` are the same.

        Raises: InvalidLanguage, InvalidParameter, MissingParameter, Conflict, RateLimitExceeded,
        MaxSessionsExceeded, ServiceUnavailable.
        """
        settings = checked(settings)
        _check_word("requestId", request_id)
        _check_id("speakerId", speaker_id)
        _check_id("connectionId", connection_id)
        await self._check_gateway(gateway_id)
        now_ms = self._now_ms()
        charge: Charge | None = Charge(f"create:{speaker_id}", CREATES, self._policy.creates)
        for _ in range(CODE_ATTEMPTS):
            code = ids.draw(self._words, self._chance.below)
            expires_at_ms = now_ms + self._policy.max_duration_ms
            session = Session(
                session_id=code,
                speaker_id=speaker_id,
                speaker_connection_id=connection_id,
                settings=settings,
                broadcast=Broadcast(last_change_ms=now_ms),
                created_at_ms=now_ms,
                expires_at_ms=expires_at_ms,
                ends_at_ms=expires_at_ms,
            )
            seat, token = self._seat(
                code, Role.SPEAKER, connection_id, now_ms, request_id=request_id, gateway_id=gateway_id
            )
            try:
                await self._store.create(
                    session, seat, charge=charge, at_most=self._policy.max_streams, now_ms=now_ms
                )
            except CodeTaken:
                charge = None  # it was made
                continue
            except UsedUp as used_up:
                raise _too_many(CREATES, used_up) from None
            except SpeakerBusy as busy:
                raise MaxSessionsExceeded(
                    limit=self._policy.max_streams,
                    retry_after_s=max(0, busy.free_ms - now_ms) / MS_PER_S,
                ) from None
            except Refused:
                before = await self._created_before(request_id, speaker_id, connection_id, now_ms)
                if before is not None:
                    return before
                raise await self._reasons.refusal(Action.CREATE, "", connection_id, now_ms) from None
            self._deadline_moved(expires_at_ms)
            return Granted(Snapshot(session, Audience()), Role.SPEAKER, token)
        raise ServiceUnavailable("No session code is free right now.")

    async def join(
        self,
        session_id: str,
        *,
        connection_id: str,
        target_language: str,
        client_address: str = "",
        resume_token: str = "",
        gateway_id: str = "",
    ) -> Granted:
        """Seat a listener.

        With a good `resume_token` the listener's former seat is taken over, uncounted by rate limits; with
        one that is no longer good this is an ordinary join. Repeating a join changes nothing but the token.

        Raises: InvalidSessionId, InvalidLanguage, MissingParameter, SessionNotFound, SessionEnded,
        SessionFull, Conflict, RateLimitExceeded, ServiceUnavailable.
        """
        code = ids.parse(session_id)
        language = languages.normalise(target_language, parameter="targetLanguage")
        _check_id("connectionId", connection_id)
        await self._check_gateway(gateway_id)
        now_ms = self._now_ms()
        if resume_token:
            resumed = await self._resume(
                code, connection_id, resume_token, now_ms, language=language, gateway_id=gateway_id
            )
            if resumed is not None:
                return resumed
        charge = None
        if client_address:
            charge = Charge(f"join:{self._hashed(client_address)}", JOINS, self._policy.joins)
        seat, token = self._seat(
            code, Role.LISTENER, connection_id, now_ms, language=language, gateway_id=gateway_id
        )
        try:
            snapshot = await self._store.join(
                seat, capacity=self._policy.max_listeners, charge=charge, now_ms=now_ms
            )
        except UsedUp as used_up:
            raise _too_many(JOINS, used_up) from None
        except Refused:
            before = await self._joined_before(code, connection_id, language, now_ms)
            if before is not None:
                return before
            raise await self._reasons.refusal(Action.JOIN, code, connection_id, now_ms) from None
        return Granted(snapshot, Role.LISTENER, token, language)

    async def refresh(
        self, session_id: str, *, connection_id: str, resume_token: str, gateway_id: str = ""
    ) -> Granted:
        """Move a seat to a new connection by its resume token, which is used up; but if the answer is lost
        it may be sent again (`tokens.py`).

        Raises: InvalidSessionId, MissingParameter, SessionNotFound, SessionEnded, SessionFull, Conflict,
        Unauthorized, ServiceUnavailable.
        """
        code = ids.parse(session_id)
        _check_id("connectionId", connection_id)
        if not resume_token:
            raise MissingParameter("resumeToken")
        await self._check_gateway(gateway_id)
        now_ms = self._now_ms()
        resumed = await self._resume(code, connection_id, resume_token, now_ms, gateway_id=gateway_id)
        if resumed is not None:
            return resumed
        raise await self._reasons.no_handover(code, connection_id, resume_token, now_ms)

    async def change_language(self, connection_id: str, target_language: str) -> Snapshot:
        """Move a listener to another language.

        Raises: InvalidLanguage, SessionEnded, UnauthorizedAction, ServiceUnavailable.
        """
        language = languages.normalise(target_language, parameter="targetLanguage")
        now_ms = self._now_ms()
        try:
            change = await self._store.change_language(connection_id, language, now_ms=now_ms)
        except Refused:
            seat = await self._store.seat(connection_id)
            if seat is None:
                raise UnauthorizedAction(Action.CHANGE_LANGUAGE, Standing.STRANGER) from None
            raise await self._reasons.refusal(
                Action.CHANGE_LANGUAGE, seat.session_id, connection_id, now_ms
            ) from None
        return change.snapshot

    async def update_broadcast(self, session_id: str, connection_id: str, controls: Controls) -> Snapshot:
        """Pause, mute, or set the volume.

        Raises: InvalidSessionId, InvalidParameter, SessionNotFound, SessionEnded, Forbidden,
        UnauthorizedAction, ServiceUnavailable.
        """
        code = ids.parse(session_id)
        if controls.volume is not None and not 0.0 <= controls.volume <= 1.0:
            raise InvalidParameter("volumeLevel", "it must be 0.0 to 1.0.")
        now_ms = self._now_ms()
        try:
            change = await self._store.update_broadcast(code, connection_id, controls, now_ms=now_ms)
        except Refused:
            raise await self._reasons.refusal(Action.UPDATE_BROADCAST, code, connection_id, now_ms) from None
        return change.snapshot

    async def get(self, session_id: str) -> Snapshot:
        """The session with its audience.

        Raises: InvalidSessionId, SessionNotFound, SessionEnded, ServiceUnavailable.
        """
        code = ids.parse(session_id)
        snapshot = await self._store.find(code)
        if snapshot is None:
            raise SessionNotFound(code)
        refused = roles.rule(Action.GET, Standing.STRANGER, snapshot.session.life(self._now_ms()))
        if refused is not None:
            raise roles.refusal(refused, Action.GET, Standing.STRANGER, code)
        return snapshot

    async def end(self, session_id: str, connection_id: str, reason: str) -> Snapshot:
        """End a session for everybody.

        Raises: InvalidSessionId, InvalidParameter, SessionNotFound, SessionEnded, Forbidden,
        UnauthorizedAction, ServiceUnavailable.
        """
        code = ids.parse(session_id)
        _check_word("reason", reason)
        now_ms = self._now_ms()
        try:
            return await self._store.end(
                code, connection_id, reason or EndReason.SPEAKER_ENDED, now_ms=now_ms
            )
        except Refused:
            raise await self._reasons.refusal(Action.END, code, connection_id, now_ms) from None

    async def close(self, session_id: str, reason: str) -> Snapshot:
        """End a session for everybody, whoever speaks: for operators.

        Raises: InvalidSessionId, InvalidParameter, SessionNotFound, SessionEnded, ServiceUnavailable.
        """
        code = ids.parse(session_id)
        _check_word("reason", reason)
        try:
            return await self._store.end(
                code, None, reason or EndReason.ENDED_BY_OPERATOR, now_ms=self._now_ms()
            )
        except Refused:
            await self.get(code)  # raises what there is to say
            raise Conflict("The session changed at this moment; try again.") from None

    async def page(self, cursor: str, *, size: int = 0) -> Page:
        """Some of the sessions that are on: for operators. `size` 0 is the usual one.

        Raises: InvalidParameter, ServiceUnavailable.
        """
        if size < 0:
            raise InvalidParameter("pageSize", "it must not be negative.")
        _check_id("pageToken", cursor or "-")
        limit = min(size or USUAL_PAGE, LARGEST_PAGE)
        return await self._store.live_page(cursor, limit=limit, now_ms=self._now_ms())

    def speaker_hash(self, session: Session) -> str:
        """What stands for a speaker's identity without telling it."""
        return self._hashed(session.speaker_id)[:SPEAKER_HASH_CHARS]

    async def disconnect(self, connection_id: str) -> None:
        """Note that a connection is gone; connections without a seat are ignored.

        Raises: ServiceUnavailable.
        """
        now_ms = self._now_ms()
        left = await self._store.leave(
            connection_id,
            grace_until_ms=now_ms + self._policy.grace_ms,
            resumable_until_ms=now_ms + self._policy.resume_ms,
            now_ms=now_ms,
        )
        if left is not None:
            self._deadline_moved(now_ms + min(self._policy.grace_ms, self._policy.resume_ms))

    async def disconnect_all(self) -> None:
        """Note that every connection is gone, as after a restart that took the gateways along.

        Raises: ServiceUnavailable.
        """
        now_ms = self._now_ms()
        await self._store.leave_all(
            grace_until_ms=now_ms + self._policy.grace_ms,
            resumable_until_ms=now_ms + self._policy.resume_ms,
            now_ms=now_ms,
        )
        self._deadline_moved(now_ms + min(self._policy.grace_ms, self._policy.resume_ms))

    async def renew_lease(self, gateway_id: str) -> bool:
        """Note that a gateway is alive; False when its connections have been taken for gone.

        Raises: MissingParameter, InvalidParameter, ServiceUnavailable.
        """
        _check_id("gatewayId", gateway_id)
        _check_word("gatewayId", gateway_id)
        return await self.leases.renew(gateway_id)

    async def sweep(self) -> int | None:
        """Carry out what time has decided; returns when something is due next, or None.

        Raises: ServiceUnavailable.
        """
        now_ms = self._now_ms()
        try:
            swept = await self._store.sweep(now_ms=now_ms, forget_before_ms=now_ms - self._policy.remember_ms)
            due_ms = (swept.next_due_ms, await self.leases.carry_out())
        except ServiceUnavailable:
            self.leases.look_away()
            raise
        return min((due for due in due_ms if due is not None), default=None)

    def _seat(
        self,
        code: str,
        role: Role,
        connection_id: str,
        now_ms: int,
        *,
        gateway_id: str,
        language: str = "",
        request_id: str = "",
    ) -> tuple[Seat, str]:
        token = tokens.issue(code, role, connection_id, self._chance.random_bytes)
        seat = Seat(
            connection_id=connection_id,
            session_id=code,
            role=role,
            token_hash=token.token_hash,
            until_ms=now_ms + self._policy.max_duration_ms + SEAT_SLACK_MS,
            target_language=language,
            request_id=request_id,
            gateway_id=gateway_id,
        )
        return seat, token.text

    async def _resume(
        self,
        code: str,
        connection_id: str,
        token: str,
        now_ms: int,
        *,
        gateway_id: str,
        language: str | None = None,
    ) -> Granted | None:
        """Take a seat over; with a `language` only a listener's. None when the token does not get one."""
        found = await claim(self._store, code, token, now_ms=now_ms, again_ms=self._policy.resume_ms)
        if found is None:
            return None
        old = found.seat
        if language is not None and old.role is not Role.LISTENER:
            return None
        seat, fresh = self._seat(
            code,
            old.role,
            connection_id,
            now_ms,
            language=language or old.target_language,
            gateway_id=gateway_id,
        )
        handover = Handover(
            old_connection_id=old.connection_id,
            expected_hash=old.token_hash,
            seat=replace(seat, former=found.token),
            expires_at_ms=now_ms + self._policy.max_duration_ms,
            capacity=self._policy.max_listeners,
        )
        try:
            change = await self._store.hand_over(handover, now_ms=now_ms)
        except Refused:
            return None
        return Granted(change.snapshot, seat.role, fresh, seat.target_language, old.connection_id)

    async def _created_before(
        self, request_id: str, speaker_id: str, connection_id: str, now_ms: int
    ) -> Granted | None:
        found = await self._reasons.seat_that_counts(connection_id, now_ms)
        if found is None or not request_id:
            return None
        seat, session = found
        if (seat.request_id, seat.role, session.speaker_id) != (request_id, Role.SPEAKER, speaker_id):
            return None
        return await self._again(seat, now_ms)

    async def _joined_before(
        self, code: str, connection_id: str, language: str, now_ms: int
    ) -> Granted | None:
        found = await self._reasons.seat_that_counts(connection_id, now_ms)
        if found is None:
            return None
        seat, _ = found
        if (seat.session_id, seat.role, seat.target_language) != (code, Role.LISTENER, language):
            return None
        return await self._again(seat, now_ms)

    async def _again(self, seat: Seat, now_ms: int) -> Granted | None:
        """The answer to a repeated request, with a fresh token; None when the seat went meanwhile."""
        token = tokens.issue(seat.session_id, seat.role, seat.connection_id, self._chance.random_bytes)
        try:
            snapshot = await self._store.rotate(seat.connection_id, token.token_hash, now_ms=now_ms)
        except Refused:
            return None
        return Granted(snapshot, seat.role, token.text, seat.target_language)

    def _hashed(self, secret: str) -> str:
        return hmac.digest(self._chance.address_key, secret.encode(), "sha256").hex()

    async def _check_gateway(self, gateway_id: str) -> None:
        _check_word("gatewayId", gateway_id)
        await self.leases.require(gateway_id)


def _too_many(what: str, used_up: UsedUp) -> RateLimitExceeded:
    return RateLimitExceeded(what, retry_after_s=used_up.retry_after_s)


def _check_id(parameter: str, value: str) -> None:
    if not value:
        raise MissingParameter(parameter)
    if len(value) > MAX_ID_CHARS:
        raise InvalidParameter(parameter, f"it has at most {MAX_ID_CHARS} characters.")


def _check_word(parameter: str, value: str) -> None:
    if len(value) > MAX_WORD_CHARS or not value.isprintable():
        raise InvalidParameter(parameter, f"it has at most {MAX_WORD_CHARS} printable characters.")
