"""The audio that may have to be sent again, with what of it was speech."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES, Samples

PREROLL = SAMPLE_RATE_HZ // 2
"""Audio before speech that goes with it: it begins softly, and is found late."""
_SPEECH = 0.5
_START_FRAMES = 3
"""Likely frames in a row that are speech: 96 ms."""
_FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    pcm: bytes
    voiced: bool

    @property
    def end(self) -> int:
        return self.start + len(self.pcm) // 2


class AudioLog:
    """The newest audio of a stream, at most `limit_s` of what was read. Positions count its samples."""

    def __init__(self, *, limit_s: float) -> None:
        self._limit = int(limit_s * SAMPLE_RATE_HZ)
        self._pieces: deque[_Piece] = deque()
        self._likely = 0
        self.end = 0
        """Position after the last sample."""
        self.voiced_end = 0
        """Position after the last speech."""

    def append(self, samples: Samples, speech: Samples) -> None:
        """Add whole frames with the probability of speech in each."""
        voiced = False
        for probability in speech:
            self._likely = self._likely + 1 if probability >= _SPEECH else 0
            voiced = voiced or self._likely >= _START_FRAMES
        scaled = np.clip(np.rint(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
        self._pieces.append(_Piece(self.end, scaled.astype("<i2").tobytes(), voiced))
        self.end += len(speech) * FRAME_SAMPLES
        if voiced:
            self.voiced_end = self.end

    def has_speech(self, start: int, end: int) -> bool:
        """Whether there is speech between two positions."""
        return any(piece.voiced and piece.start < end and piece.end > start for piece in self._pieces)

    def speech_after(self, position: int) -> int | None:
        """Where to begin in order to hear the first speech after a position; None when there is none."""
        for piece in self._pieces:
            if piece.voiced and piece.end > position:
                return max(position, piece.start - PREROLL, self._pieces[0].start)
        return None

    def read(self, position: int, samples: int) -> bytes:
        """At most so many samples from a position that is still there; empty at the end."""
        parts: list[bytes] = []
        wanted = 2 * samples
        for piece in self._pieces:
            if piece.end > position and wanted > 0:
                begin = 2 * max(0, position - piece.start)
                parts.append(piece.pcm[begin : begin + wanted])
                wanted -= len(parts[-1])
        return b"".join(parts)

    def forget(self, *, settled: int, read: int) -> None:
        """Drop what was read and is settled, is no speech, or is older than the limit."""
        speech = self.speech_after(settled)
        keep = self.end - PREROLL if speech is None else speech
        keep = min(read, max(keep, self.end - self._limit))
        while self._pieces and self._pieces[0].end <= keep:
            self._pieces.popleft()
