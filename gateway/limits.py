"""Rates, as pure arithmetic on a clock that is handed in."""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """`rate` a second on average, `burst` at once."""

    rate: float
    burst: float
    tokens: float
    at_s: float

    @classmethod
    def full(cls, *, rate: float, burst: float, now_s: float) -> "TokenBucket":
        """A bucket that was left alone for a while."""
        return cls(rate=rate, burst=burst, tokens=burst, at_s=now_s)

    def allow(self, more: float) -> None:
        """Let so many be taken once, beyond the burst."""
        self.tokens += more

    def take(self, now_s: float) -> float:
        """Take one: 0.0 when it was there, else the seconds until it will be."""
        filled = min(self.burst, self.tokens + max(0.0, now_s - self.at_s) * self.rate)
        self.tokens = max(self.tokens, filled)
        self.at_s = max(self.at_s, now_s)
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate


class KeyedBuckets:
    """A bucket per key; the keys not seen for longest are forgotten above `max_keys`."""

    def __init__(self, *, rate: float, burst: float, max_keys: int = 100_000) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str, now_s: float) -> float:
        """Take one for `key`; see TokenBucket.take."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = TokenBucket.full(rate=self._rate, burst=self._burst, now_s=now_s)
            self._buckets[key] = bucket
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take(now_s)
