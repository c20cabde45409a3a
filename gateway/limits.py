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
        self._fill(now_s)
        wait_s = self.wait_s(now_s)
        if not wait_s:
            self.tokens -= 1
        return wait_s

    def owe(self, now_s: float) -> None:
        """Take one that was used already, there or not; no more than `burst` are ever owed."""
        self._fill(now_s)
        self.tokens = max(self.tokens - 1, -self.burst)

    def wait_s(self, now_s: float) -> float:
        """What `take` would say, taking none."""
        filled = self._filled(now_s)
        return 0.0 if filled >= 1 else (1 - filled) / self.rate

    def _fill(self, now_s: float) -> None:
        self.tokens = self._filled(now_s)
        self.at_s = max(self.at_s, now_s)

    def _filled(self, now_s: float) -> float:
        filled = min(self.burst, self.tokens + max(0.0, now_s - self.at_s) * self.rate)
        return max(self.tokens, filled)


class KeyedBuckets:
    """A bucket per key; the keys not seen for longest are forgotten above `max_keys`."""

    def __init__(self, *, rate: float, burst: float, max_keys: int = 100_000) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str, now_s: float) -> float:
        """Take one for `key`; see TokenBucket.take."""
        return self._bucket(key, now_s).take(now_s)

    def owe(self, key: str, now_s: float) -> None:
        """Take one that `key` used already; see TokenBucket.owe."""
        self._bucket(key, now_s).owe(now_s)

    def wait_s(self, key: str, now_s: float) -> float:
        """When there will be one for `key`, 0.0 for now; takes none."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait_s(now_s)

    def _bucket(self, key: str, now_s: float) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = TokenBucket.full(rate=self._rate, burst=self._burst, now_s=now_s)
            self._buckets[key] = bucket
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket
