"""When audio came, so that a result knows how late it is."""

from collections import deque
from typing import Final

MOST: Final = 2048
"""Pieces of audio that are remembered: of 32 ms, more than a minute."""


class Arrivals:
    """The last pieces of one stream's audio. Positions are samples; times are s on any clock."""

    def __init__(self) -> None:
        self._ends: deque[tuple[int, float]] = deque(maxlen=MOST)

    def came(self, end: int, now_s: float) -> None:
        """Audio up to `end` is here."""
        self._ends.append((end, now_s))

    def delay_s(self, position: int, now_s: float) -> float | None:
        """How long the audio before `position` has been here; None when it came too long ago to be known.
        What came before it is forgotten.
        """
        known = False
        while self._ends and self._ends[0][0] < position:
            self._ends.popleft()
            known = True
        if not self._ends or (not known and len(self._ends) == MOST):
            return None
        return now_s - self._ends[0][1]
