"""Where speech starts and stops, from the speech probability of each frame.

Starting needs several likely frames in a row, staying needs less: noise does not open an utterance and a
weak syllable does not close one. All positions are samples in the stream, so nothing depends on the clock.
"""

from collections import deque
from dataclasses import dataclass, field

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES

_MS = SAMPLE_RATE_HZ // 1000
_PAUSES = 16


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """When a frame counts as speech."""

    start_probability: float = 0.5
    stay_probability: float = 0.35
    start_frames: int = 3
    """Likely frames in a row that open an utterance: 96 ms."""
    pause_ms: int = 80
    """Silence inside an utterance that is remembered as a pause."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence between two stretches of speech."""

    start: int
    end: int


@dataclass(slots=True)
class Utterance:
    """A stretch of speech without a closing pause."""

    start: int
    """First voiced sample."""
    voiced_end: int
    """After the last voiced sample so far."""
    voiced: int
    """Voiced samples so far."""
    pauses: deque[Pause] = field(default_factory=lambda: deque(maxlen=_PAUSES))
    """The last pauses inside it, oldest first."""


class Endpointer:
    """Follows the frames of one stream."""

    def __init__(self, policy: EndpointPolicy | None = None) -> None:
        self._policy = policy or EndpointPolicy()
        self._likely_frames = 0
        self.position = 0
        """Samples heard."""
        self.utterance: Utterance | None = None
        """The open utterance."""

    def hear(self, probability: float) -> None:
        """Take the next frame."""
        self.position += FRAME_SAMPLES
        if self.utterance is not None:
            if probability >= self._policy.stay_probability:
                if self.silence_ms > self._policy.pause_ms:
                    pause = Pause(self.utterance.voiced_end, self.position - FRAME_SAMPLES)
                    self.utterance.pauses.append(pause)
                self.utterance.voiced_end = self.position
                self.utterance.voiced += FRAME_SAMPLES
            return
        self._likely_frames = self._likely_frames + 1 if probability >= self._policy.start_probability else 0
        if self._likely_frames >= self._policy.start_frames:
            voiced = self._likely_frames * FRAME_SAMPLES
            self.utterance = Utterance(self.position - voiced, self.position, voiced)

    @property
    def silence_ms(self) -> float:
        """Length of the pause at the end of the open utterance; 0 when there is none."""
        return (self.position - self.utterance.voiced_end) / _MS if self.utterance else 0.0

    def border(self, at: int) -> tuple[int, int]:
        """End and start of the speech around a cut at `at`: both `at` itself, unless that lies in a pause."""
        if self.utterance is None:
            return at, at
        around = next((pause for pause in self.utterance.pauses if pause.start <= at < pause.end), None)
        if around is not None:
            return around.start, around.end
        return min(at, self.utterance.voiced_end), at

    def close(self) -> None:
        """The open utterance is over."""
        self.utterance = None
        self._likely_frames = 0

    def split(self, pause: Pause) -> None:
        """A pause inside the open utterance has turned out to end it; what follows is an utterance too."""
        if self.utterance is not None:
            later = deque((each for each in self.utterance.pauses if each.start >= pause.end), maxlen=_PAUSES)
            end = self.utterance.voiced_end
            self.utterance = Utterance(pause.end, end, end - pause.end, later)
