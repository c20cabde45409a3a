"""Codes are not found by trying them."""

from collections.abc import Iterator
from contextlib import contextmanager

from babelcast.errors import BabelcastError, ErrorCode, RateLimitExceeded
from gateway.limits import KeyedBuckets

_WRONG = frozenset({ErrorCode.SESSION_NOT_FOUND, ErrorCode.INVALID_SESSION_ID, ErrorCode.UNAUTHORIZED})


class Guesses:
    """What an address may get wrong: `per_min` codes or resume tokens on average, and as many at once.

    Above that nothing is looked up for it, right or wrong, so the answer tells nothing. What is right costs
    nothing, so a hall behind one address is not held up by its own number. Those that are under way at once
    are judged alike and paid for afterwards: with more connections than `per_min` an address may get as many
    wrong a minute as it has connections, and nobody waits for much longer than a minute.
    """

    def __init__(self, *, per_min: int) -> None:
        self._wrong = KeyedBuckets(rate=per_min / 60, burst=per_min)

    def wait_s(self, address: str, now_s: float) -> float:
        """When something may be looked up for an address again; 0.0 for now."""
        return self._wrong.wait_s(address, now_s)

    def wrong(self, address: str, now_s: float) -> None:
        """It asked for what is not there."""
        self._wrong.owe(address, now_s)

    @contextmanager
    def looking(self, address: str, now_s: float) -> Iterator[None]:
        """Look something up inside. Raises: RateLimitExceeded."""
        wait_s = self.wait_s(address, now_s)
        if wait_s:
            raise RateLimitExceeded("codes that nobody has", retry_after_s=wait_s)
        try:
            yield
        except BabelcastError as error:
            if error.code in _WRONG:
                self.wrong(address, now_s)
            raise
