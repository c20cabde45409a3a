"""Requests that an engine does not survive, remembered so that it is not asked again."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

MAX_TRIES = 2
REMEMBERED = 256
FORGOTTEN_AFTER_S = 600.0


class Poison:
    """Counts the tries at which each request killed its engine or let it hang.

    After MAX_TRIES of them a request is poison for FORGOTTEN_AFTER_S: an engine that died for another reason,
    such as want of memory, gets its request again later. At most REMEMBERED are kept, the oldest go first;
    of each only a hash.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def is_known(self, request: bytes) -> bool:
        """Whether the request is not to be tried again."""
        if not self._tries:
            return False
        return self._count(_key(request)) >= MAX_TRIES

    def failed(self, request: bytes) -> None:
        """The engine died of it or hung."""
        key = _key(request)
        self._tries[key] = (self._count(key) + 1, self._clock())
        self._tries.move_to_end(key)
        while len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)

    def succeeded(self, request: bytes) -> None:
        """It was answered, so it was not its fault."""
        if self._tries:
            self._tries.pop(_key(request), None)

    def _count(self, key: bytes) -> int:
        count, at_s = self._tries.get(key, (0, self._clock()))
        return count if self._clock() - at_s < FORGOTTEN_AFTER_S else 0


def _key(request: bytes) -> bytes:
    return hashlib.blake2b(request, digest_size=16).digest()
