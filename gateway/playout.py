"""What is still to be heard of the voices that were published. Pure."""

from typing import Final

MOST_MS: Final = 60_000
"""More is not believed: the wall clock may jump in the middle of a talk."""


class Playout:
    """One session's languages, each with somebody who hears every voice as soon as it is there.

    Real listeners hear a little later, by the way to them and what they buffer.
    """

    def __init__(self) -> None:
        self._heard_ms: dict[str, int] = {}

    def unplayed_ms(self, language: str, *, now_ms: int) -> int:
        """How much is still to be heard."""
        return max(0, min(self._heard_ms.get(language, now_ms) - now_ms, MOST_MS))

    def add(self, language: str, *, duration_ms: int, now_ms: int) -> None:
        """A voice is published now."""
        self._heard_ms[language] = now_ms + self.unplayed_ms(language, now_ms=now_ms) + duration_ms
