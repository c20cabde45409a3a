"""Gateways' leases: how connections end whose gateway died without a word.

A gateway renews its lease; when that has run out, the sweep lets it lapse, for good, and disconnects every
connection that depends on it, one by one, each by the same conditional operation that a living gateway would
have asked for. So it does not matter how many replicas do it, or how often, or where one crashed.

A replica lets leases lapse only when it has been watching for as long as a lease lasts: gateways are not to
blame when this service, its store or the whole machine was away.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from babelcast.errors import ServiceUnavailable
from session_svc.store.base import SessionStore

SETTLED_MS: Final = 600_000
"""So long after a lapse connections are looked for that were seated while it happened."""
AT_ONCE: Final = 32

log = logging.getLogger(__name__)


class Leases:
    """The leases in a store, each `length_ms` long. `deadline_moved` hears when to look at a new one."""

    def __init__(
        self,
        store: SessionStore,
        *,
        length_ms: int,
        now_ms: Callable[[], int],
        disconnect: Callable[[str], Awaitable[None]],
        deadline_moved: Callable[[int], None],
    ) -> None:
        self.length_ms = length_ms
        self._store = store
        self._now_ms = now_ms
        self._disconnect = disconnect
        self._deadline_moved = deadline_moved
        self._good_until: dict[str, int] = {}  # as far as this replica knows; they are never shortened
        self._looked_ms: int | None = None
        self._watching_since_ms = 0

    async def renew(self, gateway_id: str) -> bool:
        """Let a lease run from now on, a new one if there is none; False when it has lapsed.

        Raises: ServiceUnavailable.
        """
        until_ms = self._now_ms() + self.length_ms
        if not await self._store.renew_lease(gateway_id, until_ms=until_ms):
            self._good_until.pop(gateway_id, None)
            return False
        if gateway_id not in self._good_until:
            self._deadline_moved(until_ms - self.length_ms // 2)
        self._good_until[gateway_id] = until_ms
        return True

    async def require(self, gateway_id: str) -> None:
        """See that connections may depend on this lease; "" stands for none.

        Raises: ServiceUnavailable when it has lapsed.
        """
        if not gateway_id or self._good_until.get(gateway_id, 0) > self._now_ms():
            return
        if not await self.renew(gateway_id):
            raise ServiceUnavailable("This gateway was taken for gone; connect again.", retry_after_s=0)

    def look_away(self) -> None:
        """Leases could not be looked at just now."""
        self._looked_ms = None

    async def carry_out(self) -> int | None:
        """Let leases lapse and disconnect who depends on them; returns when to look again, or None.

        While there are leases that is twice in their time at least: who looks more seldom cannot tell whose
        absence it was.

        Raises: ServiceUnavailable.
        """
        now_ms = self._now_ms()
        attentive = self._looked_ms is not None and 0 <= now_ms - self._looked_ms <= self.length_ms
        self._looked_ms = None
        if not attentive:
            self._watching_since_ms = now_ms
        first_lapse_ms = self._watching_since_ms + self.length_ms
        lapses = await self._store.lapse(
            due_ms=now_ms if now_ms >= first_lapse_ms else 0,
            settled_ms=now_ms - SETTLED_MS if attentive else 0,
        )
        for gateway_id, until_ms in tuple(self._good_until.items()):
            if until_ms <= now_ms:
                del self._good_until[gateway_id]
        for gateway_id in lapses.gateway_ids:
            await self._disconnect_all(gateway_id)
        self._looked_ms = self._now_ms()
        if lapses.next_due_ms is None:
            return None
        return min(max(lapses.next_due_ms, first_lapse_ms), self._looked_ms + self.length_ms // 2)

    async def _disconnect_all(self, gateway_id: str) -> None:
        found = await self._store.connections_of(gateway_id)
        for first in range(0, len(found), AT_ONCE):
            await asyncio.gather(*map(self._disconnect, found[first : first + AT_ONCE]))
        if found:
            log.warning("a gateway's connections are taken for gone", extra={"connections": len(found)})
