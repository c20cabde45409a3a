"""How many audio messages may go now. Pure: the clock is an argument."""

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    """`rate` messages a second on average, `burst` at once: somewhat less than the server takes."""

    rate: float
    burst: float
    at_s: float
    tokens: float = 0.0
    not_before_s: float = float("-inf")

    def renew(self, now_s: float, *, extra: float = 0.0) -> None:
        """A new connection, which takes `extra` messages more at once to catch up."""
        self.at_s, self.tokens, self.not_before_s = now_s, self.burst + extra, float("-inf")

    def wait_s(self, now_s: float) -> float:
        """How long the next message has to wait, in s."""
        self._refill(now_s)
        return max(self.not_before_s - now_s, (1 - self.tokens) / self.rate, 0.0)

    def take(self, now_s: float) -> None:
        """A message goes."""
        self._refill(now_s)
        self.tokens -= 1

    def refused(self, now_s: float, *, retry_after_s: float) -> None:
        """The server did not take a message, and wants a pause."""
        self._refill(now_s)
        self.tokens = min(self.tokens, 1.0)
        self.not_before_s = max(self.not_before_s, now_s + retry_after_s)

    def _refill(self, now_s: float) -> None:
        grown = self.tokens + max(0.0, now_s - self.at_s) * self.rate
        self.tokens = max(self.tokens, min(self.burst, grown))
        self.at_s = max(self.at_s, now_s)
