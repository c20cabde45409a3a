"""Voice messages are numbered without gaps; this notices when they are not."""

from dataclasses import dataclass, field
from enum import Enum


class Place(Enum):
    """Where a numbered message stands."""

    NEXT = "next"
    REPEATED = "repeated"
    AFTER_GAP = "after_gap"


@dataclass(slots=True)
class SequenceTracker:
    """The last number taken in, per language."""

    _last: dict[str, int] = field(default_factory=dict)
    _current: str = ""

    def last(self, language: str) -> int | None:
        """The last number in `language`, or None when there is none yet."""
        return self._last.get(language)

    def start(self, language: str, last: int) -> None:
        """What follows `last` comes next in `language`, which is the current one from now on."""
        self._current = language
        self._last[language] = last

    def skip_to(self, last: int) -> None:
        """What follows `last` comes next in the current language: the rest was not wanted."""
        self._last[self._current] = last

    def take(self, language: str, number: int) -> Place:
        """Take in a message; a repeated one changes nothing."""
        last = self._last.get(language)
        if last is not None and number <= last:
            return Place.REPEATED
        self._last[language] = number
        return Place.NEXT if last is None or number == last + 1 else Place.AFTER_GAP
