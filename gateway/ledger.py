"""Which of a speaker's chunks lies where in the session's audio. Pure."""

from collections import deque
from dataclasses import dataclass

SAME_MS = 1e-6
UNKNOWN = -1
"""Stands for the number of a chunk when nothing is known of chunks before."""
MOST_ENTRIES = 10_000
MOST_HIDDEN = 100


@dataclass(frozen=True, slots=True)
class Source:
    """The chunk that some audio comes from: its number, how long it sounds, and how much of that is still to
    come, since the resampler holds it back (ms).
    """

    number: int
    duration_ms: float
    held_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """Up to here a speaker's audio is answered: all of a chunk, and so much (ms) of the one after it."""

    sequence: int = 0
    offset_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    number: int
    start_ms: float
    end_ms: float


class Ledger:
    """The chunks since the last release, in the order in which they were heard."""

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque(maxlen=MOST_ENTRIES)
        self._before = Place()
        self._hidden: deque[list[int]] = deque(maxlen=MOST_HIDDEN)

    def begin(self, place: Place) -> None:
        """Nothing is here yet, and all up to a place was answered elsewhere."""
        self._before = place
        self._entries.clear()

    def note(self, source: Source, *, end_ms: float) -> None:
        """A chunk's audio was put at the end of the session's, which is now at `end_ms`."""
        chunk_end_ms = end_ms + source.held_ms
        self._entries.append(_Entry(source.number, chunk_end_ms - source.duration_ms, chunk_end_ms))

    def hide(self, number: int) -> None:
        """A chunk was not to be heard."""
        if self._hidden and self._hidden[-1][1] + 1 == number:
            self._hidden[-1][1] = number
        else:
            self._hidden.append([number, number])

    def hidden(self, *, after: int) -> list[int]:
        """The chunks after one that were not to be heard: the first and the last of each row of them."""
        return [number for first, last in self._hidden if last > after for number in (first, last)]

    def place(self, position_ms: float) -> Place:
        """Where the audio at a position came from; to the ms below, so that nothing is left out."""
        last = self._before
        for entry in self._entries:
            if entry.end_ms > position_ms + SAME_MS:
                if entry.start_ms > position_ms - SAME_MS and last.sequence + 1 == entry.number:
                    return last
                offset_ms = max(0, int(position_ms - entry.start_ms + SAME_MS))
                return Place(max(0, entry.number - 1), offset_ms)
            last = Place(entry.number)
        return last

    def release(self, *, until_ms: float) -> None:
        """Forget the chunks that end before a position, which is not asked for any more."""
        while self._entries and self._entries[0].end_ms <= until_ms + SAME_MS:
            self._before = Place(self._entries.popleft().number)
