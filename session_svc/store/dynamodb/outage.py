"""Knowing that DynamoDB does not answer, so that nobody waits to find that out again."""

import time
from collections.abc import Callable
from typing import Final

SURE_AFTER_S: Final = 3.0
"""So long after the first call that had no answer, and none had one since, it is taken for out of reach."""
PROBE_EVERY_S: Final = 1.0
"""How often a call is let through then, to see whether it is back."""


class Outage:
    """Whether calls are worth making. `clock` gives seconds that only go forward."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent_since_s: float | None = None
        self._probe_at_s: float | None = None

    @property
    def sure(self) -> bool:
        """Whether there is an outage, so that a call is not worth repeating."""
        return self._probe_at_s is not None

    def now_s(self) -> float:
        """When a call begins."""
        return self._clock()

    def admits(self) -> bool:
        """Whether to begin a call: while there is an outage one a second."""
        if self._probe_at_s is None:
            return True
        now_s = self._clock()
        if now_s < self._probe_at_s:
            return False
        self._probe_at_s = now_s + PROBE_EVERY_S
        return True

    def answered(self) -> None:
        """A call was answered, with whatever."""
        self._silent_since_s = self._probe_at_s = None

    def unanswered(self, begun_s: float) -> None:
        """A call that began then had no answer."""
        if self._silent_since_s is None:
            self._silent_since_s = begun_s
        now_s = self._clock()
        if now_s - self._silent_since_s >= SURE_AFTER_S:
            self._probe_at_s = now_s + PROBE_EVERY_S
