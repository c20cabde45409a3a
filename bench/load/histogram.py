"""Durations counted in buckets whose width grows with the value: bounded memory, mergeable, 1 % of error."""

import math
from collections.abc import Iterable

import msgspec

STEPS = 64
"""Buckets between a value and its double: a percentile is off by at most 1 / (2 * STEPS), 0.8 %."""
LEAST_MS = 0.01
SHARES = (0.5, 0.95, 0.99, 1.0)


class Histogram(msgspec.Struct):
    """Milliseconds by bucket. What is below LEAST_MS, and negative by clocks that differ, counts as nothing.

    At most some 2,000 buckets for times of up to a month, and mostly a hundred.
    """

    counts: dict[int, int] = msgspec.field(default_factory=dict)
    count: int = 0
    total_ms: float = 0.0
    most_ms: float = 0.0

    def add(self, value_ms: float, times: int = 1) -> None:
        """Count a duration."""
        if value_ms > LEAST_MS:
            mantissa, exponent = math.frexp(value_ms)
            bucket = exponent * STEPS + int((mantissa - 0.5) * 2 * STEPS)
        else:
            value_ms = 0.0
            bucket = NOTHING
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + times
        self.count += times
        self.total_ms += value_ms * times
        self.most_ms = max(self.most_ms, value_ms)

    def merge(self, other: "Histogram") -> None:
        """Add what another has counted."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.count += other.count
        self.total_ms += other.total_ms
        self.most_ms = max(self.most_ms, other.most_ms)

    def percentile(self, share: float) -> float:
        """Nearest rank, the middle of its bucket; the largest is exact. NaN when nothing was counted."""
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(share * self.count))
        if rank >= self.count:
            return self.most_ms
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return min(_middle(bucket), self.most_ms)
        return self.most_ms

    def cuts(self, shares: Iterable[float] = SHARES) -> list[float]:
        """Several percentiles."""
        return [self.percentile(share) for share in shares]


NOTHING = -1024 * STEPS


def _middle(bucket: int) -> float:
    if bucket == NOTHING:
        return 0.0
    exponent, step = divmod(bucket, STEPS)
    return math.ldexp(0.5 + (step + 0.5) / (2 * STEPS), exponent)
