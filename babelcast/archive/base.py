"""The archive port: the text of talks, kept while they are on and for a while after.

What was said is in the language spoken, what was made of it in the others. It is for people who come late and
for those who take a transcript home; the next owner of a talk goes by the bus, not by this.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Talk:
    """One session. Codes are given again, so when it began is part of its name."""

    session_id: str
    created_ms: int
    """Epoch ms."""
    source: str
    """The language spoken."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One final text of one language. A correction is another one with a higher revision."""

    segment: int
    revision: int
    text: str
    start_ms: int
    """Where it was said in the talk's sound, whatever the language."""
    end_ms: int
    kept_ms: int
    """When it was published, epoch ms."""
    epoch: int = 0
    """Of the owner who published it: what a later owner says of a segment counts."""
    source_text: str = ""
    """What it translates; empty in the language spoken."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is kept of a talk."""

    talk: Talk
    languages: Sequence[str]
    """In which there is text, in order of the alphabet."""
    ended_ms: int | None
    """Epoch ms; None while the talk is on, or when nobody saw its end."""
    last_ms: int
    """When the last text came, epoch ms."""

    @property
    def over_ms(self) -> int:
        """When the talk ended if it has, epoch ms: when nobody saw it, with its last text."""
        return self.last_ms if self.ended_ms is None else self.ended_ms


class Archive(Protocol):
    """Appending never waits and never fails: what cannot be kept now is kept later, within bounds."""

    @property
    def retention_s(self) -> float:
        """How long texts stay after the end of their talk."""
        ...

    def append(self, talk: Talk, language: str, entry: Entry) -> None:
        """Keep a text; the same one again changes nothing."""
        ...

    def end(self, talk: Talk, *, at_ms: int) -> None:
        """The talk is over: its texts go `retention_s` after the first time that this is said."""
        ...

    async def find(self, session_id: str) -> Contents | None:
        """The last talk under a code of which something is kept.

        Raises: ServiceUnavailable.
        """
        ...

    async def read(self, talk: Talk, language: str) -> Sequence[Entry]:
        """The newest revision of each segment, in order.

        Raises: ServiceUnavailable.
        """
        ...

    async def aclose(self) -> None:
        """Keep what waits, for a few seconds at most, and let go of connections; idempotent."""
        ...


def newest(entries: Iterable[Entry]) -> list[Entry]:
    """What counts of what was appended: one of each segment, in order. The same one twice counts once."""
    found: dict[int, Entry] = {}
    for entry in entries:
        known = found.get(entry.segment)
        if known is None or supersedes(entry, known):
            found[entry.segment] = entry
    return [found[segment] for segment in sorted(found)]


def supersedes(entry: Entry, known: Entry) -> bool:
    """Whether an entry takes the place of one for the same segment."""
    return (entry.epoch, entry.revision) > (known.epoch, known.revision)
