"""The session's audio as its owner sees it: what went to transcription, when it came, what may go again."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

from babelcast.pcm import BYTES_PER_MS, BYTES_PER_SAMPLE, duration_ms

REMEMBER_MS = 120_000
CONTEXT_MS = 2_016
"""Audio before what is sent again by which a new stream's detection of speech is as far as that of the one
before; cold, it takes a soft word after a pause for none.
"""
FRAME_MS = 32
"""Streams of one talk begin on one grid, that of the frames in which speech is detected: then a new stream
hears the same frames as the one before it, and recognises the same words in them.
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """Audio (16 kHz PCM), its place in the session's audio (ms), when it came (epoch ms), and its trace
    context.
    """

    pcm: bytes
    start_ms: float
    end_ms: float
    arrived_ms: int
    traceparent: str = ""


class Timeline:
    """Positions count the audio that went to transcription, not wall time: a pause takes none.

    Keeps the audio since the last final result, at most `replay_ms` of it, for a transcription stream that
    has to be opened again; and the arrival times of the last REMEMBER_MS.
    """

    def __init__(self, *, replay_ms: float) -> None:
        self.position_ms = 0.0
        self._replay_ms = replay_ms
        self._released_ms = 0.0
        self._replay: deque[Piece] = deque()
        self._ends_ms: list[float] = []
        self._arrivals_ms: list[int] = []

    def begin(self, at_ms: float) -> None:
        """What was before a position is known elsewhere, if at all; called before there is any audio."""
        self.position_ms = self._released_ms = at_ms

    def extend(self, pcm: bytes, *, arrived_ms: int, traceparent: str = "") -> Piece:
        """Put audio at the end; returns its place."""
        start_ms = self.position_ms
        self.position_ms += duration_ms(pcm)
        piece = Piece(pcm, start_ms, self.position_ms, arrived_ms, traceparent)
        self._replay.append(piece)
        self.release(until_ms=self.position_ms - self._replay_ms)
        self._ends_ms.append(piece.end_ms)
        self._arrivals_ms.append(arrived_ms)
        if self._ends_ms[0] < self.position_ms - 2 * REMEMBER_MS:
            keep = bisect_left(self._ends_ms, self.position_ms - REMEMBER_MS)
            del self._ends_ms[:keep], self._arrivals_ms[:keep]
        return piece

    def release(self, *, until_ms: float) -> None:
        """Forget audio up to the frame of `until_ms`: it has its final result."""
        until_ms = min(until_ms, self.position_ms) // FRAME_MS * FRAME_MS
        self._released_ms = max(self._released_ms, until_ms)
        while self._replay and self._replay[0].end_ms <= until_ms - CONTEXT_MS:
            self._replay.popleft()

    @property
    def resume_ms(self) -> float:
        """Where a stream begins that is opened now: at the first frame without a final result."""
        return self._released_ms

    def replay(self) -> tuple[Piece, ...]:
        """The audio since the last final result, to the frame: what has its words is not heard again."""
        unanswered = [piece for piece in self._replay if piece.end_ms > self._released_ms]
        if not unanswered:
            return ()
        first, *rest = unanswered
        return _after(first, self._released_ms), *rest

    def context(self, before_ms: float) -> bytes:
        """The audio right before a position: whole frames, at most CONTEXT_MS."""
        held = (piece for piece in self._replay if piece.start_ms < before_ms)
        pieces = (_after(piece, before_ms - CONTEXT_MS) for piece in held)
        pcm = b"".join(piece.pcm[: _bytes(before_ms - piece.start_ms)] for piece in pieces)
        return pcm[len(pcm) % _bytes(FRAME_MS) :]

    def arrival_ms(self, position_ms: float) -> int | None:
        """When the audio at `position_ms` came, epoch ms; the nearest known when it is not remembered, None
        when none came yet.
        """
        if not self._arrivals_ms:
            return None
        index = bisect_left(self._ends_ms, position_ms)
        return self._arrivals_ms[min(index, len(self._arrivals_ms) - 1)]


def _after(piece: Piece, position_ms: float) -> Piece:
    """What of a piece comes after a position; the whole of one that begins there or later."""
    pcm = piece.pcm[_bytes(max(0.0, position_ms - piece.start_ms)) :]
    start_ms = piece.end_ms - duration_ms(pcm)
    return Piece(pcm, start_ms, piece.end_ms, piece.arrived_ms, piece.traceparent)


def _bytes(length_ms: float) -> int:
    """Of whole samples."""
    return int(length_ms * BYTES_PER_MS) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
