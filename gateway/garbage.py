"""Python's collector of reference cycles, kept from looking at a whole audience.

A full collection looks at every object, which takes 0.2 to 0.5 s with 5,000 listeners and holds up every talk
meanwhile. What belongs to a connection goes with its last reference, but for about 2 kB of asyncio's
transport. So the connections that are there are put out of the collector's sight (`gc.freeze`, which costs
nothing), and back into it (`gc.unfreeze`) when as many have left as are there.
"""

import gc

YOUNG = 10_000
"""New objects after which those alone are looked at; Python's own 700 is for small programs."""
FROZEN_EVERY = 256
"""Newcomers that are in sight at most: a collection of them takes some 10 ms."""
LEFT_AT_LEAST = 1_000
"""So many may have left before all are looked at again."""


def settle() -> None:
    """Put what is there for as long as the process out of sight, and look at young objects less often."""
    gc.collect()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    gc.freeze()


class Garbage:
    """Told of connections that come and go, says when to freeze and when to look at all."""

    def __init__(self) -> None:
        self._here = 0
        self._new = 0
        self._left = 0

    def came(self) -> None:
        """There is a connection more."""
        self._here += 1
        self._new += 1
        if self._new >= FROZEN_EVERY:
            self._new = 0
            gc.freeze()

    def left(self) -> None:
        """There is one less."""
        self._here -= 1
        self._left += 1
        if self._left >= max(LEFT_AT_LEAST, self._here):
            self._left = self._new = 0
            gc.unfreeze()
