"""A speaker's sound on its way out, and for a while after it went: pure.

Chunks are numbered from 1 through all connections of a session, as they are sent. What was sent is kept for
`kept_s` of sound: a connection that breaks takes with it what was handed over and never arrived. What waits
is kept for `waiting_s` of sound; then the oldest of it goes.
"""

from collections import deque
from dataclasses import dataclass

MIN_CHUNK_BYTES = 100
MAX_CHUNK_BYTES = 32 * 1024
_FORGOTTEN = 1_000
"""Chunks whose size is remembered after the chunks themselves were forgotten."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Sound as it is sent: PCM, and how long it sounds (s)."""

    number: int
    pcm: bytes
    seconds: float


class Outbox:
    """The chunks of one session, in order; at most `kept_s` + `waiting_s` of sound and one chunk."""

    def __init__(self, *, kept_s: float, waiting_s: float) -> None:
        self._kept_s = kept_s
        self._waiting_s = waiting_s
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._waiting_now_s = 0.0
        self._chunks: deque[Chunk] = deque()
        self._chunks_s = 0.0
        self._forgotten: deque[int] = deque(maxlen=_FORGOTTEN)
        self._last = 0  # the highest number given
        self._next = 1  # the number that is handed over next

    @property
    def pending(self) -> bool:
        """Whether there is something to hand over."""
        return self.repeating or bool(self._waiting)

    @property
    def repeating(self) -> bool:
        """Whether what comes next was handed over before."""
        return self._next <= self._last

    @property
    def pending_s(self) -> float:
        """How long what is to be handed over sounds, in s."""
        again = sum(chunk.seconds for chunk in self._chunks if chunk.number >= self._next)
        return again + self._waiting_now_s

    def add(self, pcm: bytes, *, seconds: float) -> int:
        """Queue sound; returns how many bytes had to go to make room."""
        pieces = _cut(pcm)
        for piece in pieces:
            self._waiting.append((piece, seconds * len(piece) / len(pcm)))
        self._waiting_now_s += seconds
        gone = 0
        while self._waiting_now_s > self._waiting_s and len(self._waiting) > len(pieces):
            oldest, oldest_s = self._waiting.popleft()
            self._waiting_now_s -= oldest_s
            gone += len(oldest)
        return gone

    def take(self) -> Chunk | None:
        """What is to be handed over next, which counts as handed over; None when nothing is.

        First what must go again, as it was; then what waits, as much of it as one chunk holds.
        """
        if not self.repeating:
            if not self._waiting:
                return None
            self._number_waiting()
        chunk = self._chunks[self._next - self._first]
        self._next += 1
        self._forget_old()
        return chunk

    def put_back(self, number: int) -> None:
        """Hand over again from `number` on, or from the first that is kept."""
        self._next = max(self._first, min(self._next, number))

    def resume(self, last: int) -> int:
        """A new connection: what follows number `last` is to be handed over again. Returns how many bytes of
        that are not kept any more.
        """
        if last > self._last:  # the other side has counted something that was never sent
            self._chunks.clear()
            self._chunks_s = 0.0
            self._last, self._next = last, last + 1
            return 0
        missing = max(0, self._first - (last + 1))
        self._next = max(self._first, last + 1)
        return sum(list(self._forgotten)[-missing:]) if missing else 0

    @property
    def _first(self) -> int:
        """The lowest number that is kept, or would be."""
        return self._last + 1 - len(self._chunks)

    def _number_waiting(self) -> None:
        pcm, seconds = bytearray(), 0.0
        while self._waiting and len(pcm) + len(self._waiting[0][0]) <= MAX_CHUNK_BYTES:
            piece, piece_s = self._waiting.popleft()
            pcm += piece
            seconds += piece_s
        self._waiting_now_s = self._waiting_now_s - seconds if self._waiting else 0.0
        self._last += 1
        # the server refuses less, and a few samples of silence are not heard
        self._chunks.append(Chunk(self._last, bytes(pcm).ljust(MIN_CHUNK_BYTES, b"\0"), seconds))
        self._chunks_s += seconds

    def _forget_old(self) -> None:
        while self._first < self._next - 1 and self._chunks_s - self._chunks[0].seconds >= self._kept_s:
            chunk = self._chunks.popleft()
            self._chunks_s -= chunk.seconds
            self._forgotten.append(len(chunk.pcm))


def _cut(pcm: bytes) -> list[bytes]:
    """`pcm` in even pieces that one chunk can hold."""
    count = -(-len(pcm) // MAX_CHUNK_BYTES)
    if count == 1:
        return [pcm]
    size = 2 * -(-len(pcm) // (2 * count))
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]
