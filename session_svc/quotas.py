"""Rate limits as a token bucket whose whole state is one number (GCRA, ATM Forum TM 4.0, section 4.4.2).

A bucket of `limit` tokens refills evenly over `window_ms`. The state is the moment at which the bucket will
be full again; a token costs `window / limit` of it. One number makes a conditional write in any store.
"""

from dataclasses import dataclass

_US_PER_MS = 1000
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` at once, and `limit` per `window_ms` in the long run."""

    limit: int
    window_ms: int

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window_ms < 1:
            raise ValueError("a quota allows at least one unit in at least one millisecond")

    @property
    def cost_us(self) -> int:
        """Refill time of one token in µs, rounded up so that the limit is never exceeded."""
        return -(-self.window_ms * _US_PER_MS // self.limit)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a unit was granted, the state to keep, and else how long until one will be, in s."""

    granted: bool
    full_at_us: int
    retry_after_s: float = 0.0


def take(quota: Quota, full_at_us: int, *, now_ms: int) -> Verdict:
    """Try to take one token from a bucket that will be full at `full_at_us` (0 for a new one).

    A state further ahead than an empty bucket's can only come from a clock that went back; it counts as
    empty.
    """
    now_us = now_ms * _US_PER_MS
    capacity_us = quota.limit * quota.cost_us
    full_at_us = min(max(full_at_us, now_us), now_us + capacity_us)
    after_us = full_at_us + quota.cost_us
    excess_us = after_us - now_us - capacity_us
    if excess_us > 0:
        wait_ms = -(-excess_us // _US_PER_MS)
        return Verdict(granted=False, full_at_us=full_at_us, retry_after_s=wait_ms / _MS_PER_S)
    return Verdict(granted=True, full_at_us=after_us)
