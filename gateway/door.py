"""How a crowd that comes at once is let in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from babelcast.errors import ServiceUnavailable

AT_ONCE = 32
WAIT_S = 30.0
TRY_AGAIN_S = 2.0


class Door:
    """Lets in a few at a time, in the order in which they came.

    Of thousands who ask the session service in the same moment each would take several times the CPU, and the
    first would be answered when the last is. Policy: who has not been let in after `wait_s` is refused.
    """

    def __init__(self, *, at_once: int = AT_ONCE, wait_s: float = WAIT_S) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._wait_s = wait_s

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Hold a place. Raises: ServiceUnavailable when none was free in time."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise ServiceUnavailable("Too many are joining at once.", retry_after_s=TRY_AGAIN_S) from error
        try:
            yield
        finally:
            self._places.release()
