"""When to leave alone what does not work."""

import time
from collections.abc import Callable
from typing import Final

FAILURES_BEFORE_REST: Final = 3
FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0


class Breaker:
    """After three failures in a row there is rest for 1 s, then one attempt: its success ends the rest, its
    failure doubles it, up to 60 s. How attempts end that were under way when the rest began is no news.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._rest_s = FIRST_REST_S
        self._rests_until = 0.0
        self._tries = False

    @property
    def rests(self) -> bool:
        """Whether it failed so often that it rests, or is tried once only."""
        return self._failures >= FAILURES_BEFORE_REST

    def admits(self) -> bool:
        """Whether to attempt now."""
        if not self.rests:
            return True
        if self._clock() < self._rests_until:
            return False
        self._tries = True
        self._rests_until = self._clock() + self._rest_s  # should this attempt never tell how it ended
        return True

    def succeeded(self) -> bool:
        """An attempt worked; whether that ended the rest."""
        ended = self.rests
        self._failures, self._rest_s, self._tries = 0, FIRST_REST_S, False
        return ended

    def failed(self) -> bool:
        """An attempt failed; whether that began the rest."""
        if not self.rests:
            self._failures += 1
            self._rests_until = self._clock() + self._rest_s
            return self.rests
        if self._tries:
            self._tries = False
            self._rest_s = min(LONGEST_REST_S, 2 * self._rest_s)
            self._rests_until = self._clock() + self._rest_s
        return False
