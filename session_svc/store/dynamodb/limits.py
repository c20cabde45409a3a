"""What a newcomer needs before he is seated: a unit of a quota, and a place among the sessions of a speaker.

A speaker's row notes all his live sessions. Only the transaction that makes a session changes what is noted;
what ends one leaves it alone. So sessions that are over may be noted too: when there is no room, they give
way to the new one, in a transaction with the condition that each of them is over. Nothing is counted but
sessions' own rows, and a crash can leave nothing behind that would count.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from session_svc.model import Life, Session
from session_svc.quotas import Verdict
from session_svc.store.base import Charge, SpeakerBusy, StoreUnavailable, UsedUp
from session_svc.store.charging import let_in
from session_svc.store.dynamodb import rates, rows
from session_svc.store.dynamodb.calls import Calls, Write
from session_svc.store.dynamodb.faults import ConditionFailed
from session_svc.store.dynamodb.reading import Reading
from session_svc.store.dynamodb.tables import TableNames
from session_svc.store.dynamodb.writes import Writes

TAKE_S: Final = 3.0
"""Longest a limiter may take: those who wait at the door wait for nothing else."""
_ROUNDS: Final = 10


class Limits:
    """The limits in these tables."""

    def __init__(self, calls: Calls, tables: TableNames) -> None:
        self._calls = calls
        self._tables = tables
        self._reading = Reading(calls, tables)

    async def pay(self, charge: Charge, now_ms: int) -> None:
        """Use one unit if there is one, or if nobody can tell.

        Raises: UsedUp.
        """
        try:
            async with asyncio.timeout(TAKE_S):
                verdict = await self._take(charge, now_ms)
        except (TimeoutError, StoreUnavailable):
            let_in(charge)
            return
        if not verdict.granted:
            raise UsedUp(verdict.retry_after_s)

    async def note(self, writes: Writes, session: Session, at_most: int) -> Sequence[Write]:
        """What notes a new session for its speaker, who may have that many; 0: any number, and none is noted.

        Raises: SpeakerBusy, StoreUnavailable.
        """
        if not at_most:
            return ()
        noted = await self._noted(session)
        if len(noted) < at_most:
            return (writes.note_session(session, at_most=at_most),)
        over = await self._over(noted, at_most, writes.now_ms)
        return writes.replace_sessions(session, noted, over)

    async def keep(self, writes: Writes, session: Session, expires_at_ms: int) -> Sequence[Write]:
        """What lets the speaker's row live as long as a session that goes on, if that is noted there.

        Raises: StoreUnavailable.
        """
        if session.session_id not in await self._noted(session):
            return ()
        return (writes.keep_sessions(session, expires_at_ms),)

    async def _take(self, charge: Charge, now_ms: int) -> Verdict:
        for _ in range(_ROUNDS):
            with contextlib.suppress(ConditionFailed):
                return await rates.take(
                    self._calls, self._tables.rate_limits, charge.key, charge.quota, now_ms=now_ms
                )
        raise StoreUnavailable

    async def _noted(self, session: Session) -> frozenset[str]:
        row = await self._calls.get(self._tables.sessions, rows.speaker_key(session.speaker_id))
        return rows.sessions_of(row)

    async def _over(self, noted: frozenset[str], at_most: int, now_ms: int) -> frozenset[str]:
        """Those of the sessions that are over.

        Raises: SpeakerBusy when `at_most` or more are not.
        """
        found = await asyncio.gather(*(self._reading.session(code, now_ms) for code in noted))
        live = {
            one.session.session_id: one.session.ends_at_ms
            for one in found
            if one is not None and one.session.life(now_ms) is Life.LIVE
        }
        if len(live) >= at_most:
            raise SpeakerBusy(sorted(live.values())[-at_most])
        return noted - live.keys()
