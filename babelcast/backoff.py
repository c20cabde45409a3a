"""How long to wait before trying again what another side refused or lost. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Chance: TypeAlias = Callable[[], float]
"""A random number from 0 to 1 (`random.random`)."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: up to `retries` waits of 0 to base · 2ⁿ s, at most `cap_s`."""

    retries: int
    base_s: float
    cap_s: float

    def delay_s(self, retry: int, chance: Chance) -> float:
        """How long to wait before a retry; the first is number 0."""
        return chance() * min(self.cap_s, self.base_s * 2.0**retry)
