"""How many streams can be served live: what one costs, and what there is.

A stream takes a partial result every second when the machine is full, and thorough decodes at pauses and
cuts. What a decode takes is measured at the start and then followed while the service works. One more stream
than fits would make all late, so it is refused.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from babelcast.errors import CapacityExhausted

USABLE = 0.75
"""Share of the cores that decoding may take on average, so that finals need not wait for long."""
PARTIALS_PER_S = 1.0
"""Quick decodes that a stream is to get even on a full machine."""
THOROUGH_PER_S = 0.6
"""Thorough decodes of a stream: finals, and closings that turned out to be none. Measured on speech."""
OTHER_CORES = 0.02
"""Of a stream, beside decoding: speech detection and the measures of quality and dynamics."""
_SLOWEST = 1.5
"""A machine that is slower than it was found at the start counts as at most so much slower."""
_NEWS = 0.05
"""Weight of the newest decode in the running mean."""


@dataclass(frozen=True, slots=True)
class DecodeCost:
    """What decodes take, seconds of one core."""

    quick_s: float
    """One for a partial result."""
    thorough_s: float
    """One for a final result."""


def cores_per_stream(cost: DecodeCost) -> float:
    """Cores that one stream takes on a full machine."""
    return OTHER_CORES + PARTIALS_PER_S * cost.quick_s + THOROUGH_PER_S * cost.thorough_s


def streams_held(*, cores: float, each: float) -> int:
    """Streams of `each` cores that `cores` can serve live; at least one, that takes what it gets."""
    return max(1, int(USABLE * cores / each + 1e-9))


class CostMeter:
    """Follows what decodes take, from what was measured at the start."""

    def __init__(self, measured: DecodeCost) -> None:
        self._measured = measured
        self._quick_s = measured.quick_s
        self._thorough_s = measured.thorough_s

    def quick(self, took_s: float) -> None:
        """A quick decode took so long."""
        self._quick_s += _NEWS * (took_s - self._quick_s)

    def thorough(self, took_s: float) -> None:
        """A thorough decode took so long."""
        self._thorough_s += _NEWS * (took_s - self._thorough_s)

    @property
    def cost(self) -> DecodeCost:
        """What decodes take now: never less than at the start, and at most half as much again."""
        return DecodeCost(
            quick_s=_within(self._quick_s, self._measured.quick_s),
            thorough_s=_within(self._thorough_s, self._measured.thorough_s),
        )


class Capacity:
    """Gives places to streams, by their number or by what they take."""

    def __init__(self, *, cores: float = 1.0, limit: int = 0) -> None:
        """With a `limit` so many streams have a place whatever they take, else what `cores` can serve."""
        if limit < 0 or cores <= 0:
            raise ValueError("at least one stream must be possible")
        self._cores = cores
        self._limit = limit
        self._taken = 0.0
        self.open = 0

    @property
    def load(self) -> float:
        """Share of the capacity that is taken, 0.0 to 1.0; above it when costs have risen."""
        if self._limit:
            return self.open / self._limit
        return self._taken / (USABLE * self._cores)

    def limit(self, each: float) -> int:
        """Streams that can be open if all further ones take `each` cores."""
        if self._limit:
            return self._limit
        if not self.open:
            return streams_held(cores=self._cores, each=each)
        return self.open + max(0, int((USABLE * self._cores - self._taken) / each + 1e-9))

    @contextlib.contextmanager
    def place(self, each: float) -> Iterator[None]:
        """Hold the place of a stream that takes `each` cores.

        Raises: CapacityExhausted when there is no room.
        """
        if self.open >= self.limit(each):
            raise CapacityExhausted(f"All {self.open} transcription streams are in use.")
        self.open += 1
        self._taken += each
        try:
            yield
        finally:
            self.open -= 1
            self._taken -= each


def _within(found_s: float, measured_s: float) -> float:
    return min(max(found_s, measured_s), _SLOWEST * measured_s)
