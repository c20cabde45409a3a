"""The gateway's lease: it says over and over that it lives, and hears when it was taken for gone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from babelcast.errors import BabelcastError
from gateway.sessions import Sessions

RENEWALS: Final = 3
"""How often a lease is renewed in its time: one renewal may be lost, and another be late."""
RETRY_S: Final = 1.0

log = logging.getLogger(__name__)


async def keep_lease(
    sessions: Sessions,
    *,
    on_lost: Callable[[], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Renew the lease until cancelled.

    `on_lost` runs when it had run out, as after a long sleep: all connections were taken for gone then. What
    comes after it is under a new lease.
    """
    while True:
        wait_s = RETRY_S
        try:
            answer = await sessions.renew_lease()
        except BabelcastError as error:
            log.warning("the lease could not be renewed", extra={"code": error.code})
        else:
            if not answer.held:
                log.error("this gateway was taken for gone")
                sessions.begin_lease()
                on_lost()
                continue
            wait_s = answer.lease_ms / 1000 / RENEWALS
        await sleep(wait_s)
