"""The archive within one process, in memory: gone when that stops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from babelcast.archive.base import Contents, Entry, Talk, supersedes

MAX_SEGMENTS: Final = 20_000
"""Of a language of a talk; more than 20 hours of them."""
SILENT_S: Final = 24 * 3600.0
"""After so long without a text a talk counts as over, also when nobody saw its end."""
ENTRY_BYTES: Final = 400
"""What an entry takes besides its texts, about."""


@dataclass(slots=True)
class _Kept:
    """A talk's texts."""

    languages: dict[str, dict[int, Entry]] = field(default_factory=dict)
    ended_ms: int | None = None
    last_ms: int = 0
    size: int = 0


class InProcessArchive:
    """Holds at most about `max_bytes`: above it talks that are over go first, then those that have been quiet
    for longest.
    """

    def __init__(self, *, retention_s: float, clock_ms: Callable[[], int], max_bytes: int) -> None:
        """`clock_ms` gives epoch ms."""
        self._retention_s = retention_s
        self._clock_ms = clock_ms
        self._max_bytes = max_bytes
        self._talks: dict[Talk, _Kept] = {}
        self._size = 0

    @property
    def retention_s(self) -> float:
        """How long texts stay after the end of their talk."""
        return self._retention_s

    @property
    def size(self) -> int:
        """What is held, bytes, about."""
        return self._size

    def append(self, talk: Talk, language: str, entry: Entry) -> None:
        """Keep a text."""
        kept = self._talks.setdefault(talk, _Kept())
        texts = kept.languages.setdefault(language, {})
        known = texts.get(entry.segment)
        if known is not None and not supersedes(entry, known):
            return
        texts[entry.segment] = entry
        kept.last_ms = max(kept.last_ms, entry.kept_ms)
        self._grow(kept, _size(entry) - (_size(known) if known else 0))
        if len(texts) > MAX_SEGMENTS:
            self._grow(kept, -_size(texts.pop(min(texts))))
        self._make_room()

    def end(self, talk: Talk, *, at_ms: int) -> None:
        """Note the end of a talk of which something is kept."""
        kept = self._talks.get(talk)
        if kept is not None and kept.ended_ms is None:
            kept.ended_ms = at_ms
        self._expire()

    async def find(self, session_id: str) -> Contents | None:
        """The last talk under a code."""
        self._expire()
        talks = [talk for talk in self._talks if talk.session_id == session_id]
        if not talks:
            return None
        talk = max(talks, key=lambda talk: talk.created_ms)
        kept = self._talks[talk]
        return Contents(talk, sorted(kept.languages), kept.ended_ms, kept.last_ms)

    async def read(self, talk: Talk, language: str) -> Sequence[Entry]:
        """The newest of each segment."""
        self._expire()
        kept = self._talks.get(talk)
        texts = kept.languages.get(language, {}) if kept else {}
        return [texts[segment] for segment in sorted(texts)]

    async def aclose(self) -> None:
        """Forget everything."""
        self._talks.clear()
        self._size = 0

    def _expire(self) -> None:
        now_ms = self._clock_ms()
        for talk, kept in tuple(self._talks.items()):
            if kept.ended_ms is not None:
                late = now_ms - kept.ended_ms >= 1000 * self._retention_s
            else:
                late = now_ms - kept.last_ms >= 1000 * SILENT_S
            if late:
                self._drop(talk)

    def _make_room(self) -> None:
        if self._size <= self._max_bytes:
            return
        self._expire()
        while self._size > self._max_bytes and len(self._talks) > 1:
            self._drop(min(self._talks, key=lambda talk: _worth(self._talks[talk])))
        for kept in self._talks.values():  # one talk alone: its beginnings go
            while self._size > self._max_bytes and any(kept.languages.values()):
                texts = max(kept.languages.values(), key=len)
                self._grow(kept, -_size(texts.pop(min(texts))))

    def _drop(self, talk: Talk) -> None:
        self._size -= self._talks.pop(talk).size

    def _grow(self, kept: _Kept, size: int) -> None:
        kept.size += size
        self._size += size


def _size(entry: Entry) -> int:
    return ENTRY_BYTES + len(entry.text.encode()) + len(entry.source_text.encode())


def _worth(kept: _Kept) -> tuple[bool, int]:
    return kept.ended_ms is None, kept.last_ms
