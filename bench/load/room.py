"""What all listeners of one session and language share: its messages, each read once however many get it."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from bench.load import heard
from bench.load.heard import SHARED, Heard, Kind

KNOWN_AT_MOST = 256
"""Different messages (or gateways' copies of them) that are remembered by their bytes."""
CLOSED_AT_MOST = 1024
OPEN_MS = 5000.0
"""Who gets a message later than this after the first counts as late and not as the last."""

Key: TypeAlias = tuple[int, int, int]
"""Kind; number of segment, of voice, or of the change; revision."""


class Reach(msgspec.Struct):
    """How one message reached its listeners; wall clock, ms since the Unix epoch."""

    session_id: str
    language: str
    kind: int
    number: int
    revision: int
    final: bool
    segments: list[int]
    sent_ms: float
    """When the server made it."""
    first_ms: float
    last_ms: float
    count: int = 0
    late: int = 0
    """Of those who came back after the first had it, or OPEN_MS later."""


class Known(msgspec.Struct):
    """A message that was read."""

    said: Heard
    kind: int
    number: int
    """Of segment, voice or change, as for Key."""
    final: bool
    since_spoken_ms: float
    """From the end of its speech to `timestamp`, by the server's clock; below 0 when it does not say."""
    reach: Reach


class Room:
    """One session in one language."""

    def __init__(self, session_id: str, language: str, notice: Callable[[Heard], None]) -> None:
        self.session_id = session_id
        self.language = language
        self.known: dict[bytes, Known] = {}
        self.finals = 0
        """Segments with a final text, as bits."""
        self.voiced = 0
        """Segments that were spoken, or are not going to be."""
        self.last_number = 0
        self.final_revisions: dict[int, int] = {}
        """Of the first final text of each of the last segments."""
        self._notice = notice
        self._open: dict[Key, Reach] = {}
        self._closed: dict[Key, Reach] = {}

    def learn(self, opcode: int, payload: bytes, size: int, now_ms: float) -> Known:
        """Read a message that is not known.

        Raises: ValueError when it is none.
        """
        said = heard.read(opcode, payload, size)
        kind = said.kind
        segments = said.segments if kind in SHARED else []
        number = segments[0] if segments else said.broadcast_state.last_state_change
        if kind is Kind.VOICE:
            number = said.sequence_number
        final = kind is Kind.TEXT and said.is_final and bool(said.text)
        reach = self._reach(kind, number, said, segments, now_ms, final=final)
        since_ms = float(said.timing.sent) if kind is Kind.VOICE else -1.0
        known = Known(said, kind, number, final, since_ms, reach)
        if kind in SHARED:
            if len(self.known) >= KNOWN_AT_MOST:
                del self.known[next(iter(self.known))]
            self.known[payload] = known
        for segment in segments:
            if final:
                self.finals |= 1 << segment
                self.final_revisions.setdefault(segment, said.revision)
                if len(self.final_revisions) > CLOSED_AT_MOST:
                    del self.final_revisions[next(iter(self.final_revisions))]
            if kind in {Kind.VOICE, Kind.SPOKEN_OVER}:
                self.voiced |= 1 << segment
        self.last_number = max(self.last_number, said.sequence_number)
        if kind is Kind.NOTICE:
            self._notice(said)
        return known

    def closed(self, now_ms: float) -> list[Reach]:
        """The messages that have reached their listeners."""
        done = [key for key, reach in self._open.items() if reach.first_ms + OPEN_MS < now_ms]
        closed = []
        for key in done:
            reach = self._open.pop(key)
            closed.append(reach)
            self._closed[key] = reach
        while len(self._closed) > CLOSED_AT_MOST:
            del self._closed[next(iter(self._closed))]
        return closed

    def _reach(
        self, kind: Kind, number: int, said: Heard, segments: list[int], now_ms: float, *, final: bool
    ) -> Reach:
        key = (int(kind), number, said.revision)
        reach = self._open.get(key) or self._closed.get(key)
        if reach is None:
            reach = Reach(
                session_id=self.session_id,
                language=self.language,
                kind=int(kind),
                number=number,
                revision=said.revision,
                final=final,
                segments=segments,
                sent_ms=said.timestamp,
                first_ms=now_ms,
                last_ms=now_ms,
            )
            if kind in {Kind.TEXT, Kind.VOICE, Kind.CONTROL}:
                self._open[key] = reach
        return reach
