"""Waiting longer each time, with jitter, so that many who lost one server do not come back as one."""

import asyncio
import random

FIRST_S, MOST_S = 0.2, 5.0


class Backoff:
    """None at first, then doubling from FIRST_S to MOST_S; each wait is between half and all of it."""

    def __init__(self, *, most_s: float = float("inf")) -> None:
        """`most_s` bounds the wait further."""
        self._most_s = most_s
        self._next_s = 0.0

    async def wait(self) -> None:
        """Wait this time's turn."""
        await asyncio.sleep(self._next_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        self._next_s = min(max(2 * self._next_s, FIRST_S), MOST_S, self._most_s)

    def reset(self) -> None:
        """It works again: begin anew."""
        self._next_s = 0.0
