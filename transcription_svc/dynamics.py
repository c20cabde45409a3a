"""How a segment was said: level, pitch and pace, relative to the speaker's own running baseline.

Frames are measured as they are heard, so that a final result only sums up. Emotion is a rule on arousal and
claims no more: louder, higher, livelier and faster than this speaker's usual is excited, less is calm.
"""

import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES, Samples

_SPEECH = 0.5
_TRACK_FRAMES = 30 * SAMPLE_RATE_HZ // FRAME_SAMPLES
_LOWEST_F0_HZ = 65.0
_HIGHEST_F0_HZ = 400.0
_PERIODIC = 0.45
"""Normalised autocorrelation from which a frame has a pitch."""
_SILENT_DB = -100.0
_TINY = 1e-12
_BASELINE_S = 30.0
"""Speech after which the baseline has followed a change by 63 %."""
_VOWELS = re.compile(r"[aeiouyáàâãäåæéèêëíìîïóòôõöøœúùûüýаеёиоуыэюя]+", re.IGNORECASE)

# what counts as one unit of arousal
_LEVEL_UNIT_DB = 6.0
_PITCH_UNIT_ST = 4.0
_RANGE_UNIT_ST = 4.0
_RATE_UNIT = 0.3
_LIVELY = 0.5
_UNHURRIED = 0.35
"""Haste up to which loud speech is emphatic: 10 % faster."""
_INTENSE = 1.5


@dataclass(frozen=True, slots=True)
class FrameMeasure:
    """One 32 ms frame."""

    end: int
    """Position after its last sample."""
    power: float
    """Mean square, full scale is 1.0."""
    speech: bool
    f0_hz: float
    """0.0 when the frame has no pitch."""


@dataclass(frozen=True, slots=True)
class Measures:
    """A segment in absolute terms."""

    level_db: float
    """RMS of its speech, dB of full scale."""
    energy: float
    """RMS of its speech, 0.0 to 1.0 of full scale."""
    f0_hz: float
    """Median pitch, 0.0 if there is none."""
    f0_range_st: float
    """10th to 90th percentile of pitch, semitones."""
    syllables_per_s: float
    speech_s: float


@dataclass(frozen=True, slots=True)
class Dynamics:
    """A segment relative to its speaker's baseline; see Dynamics of the service's contract."""

    volume_db: float = 0.0
    rate: float = 1.0
    energy: float = 0.0
    emotion: str = "neutral"
    intensity: float = 0.0


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Speech whose pitch is still to be found: a copy, for another thread."""

    windows: Samples
    """64 ms before each frame's end, shape (frames, 1024)."""
    ends: tuple[int, ...]


class FrameTrack:
    """The last 30 s of a stream, frame by frame. Pitch is found elsewhere and brought in later."""

    def __init__(self) -> None:
        self._frames: deque[_Frame] = deque(maxlen=_TRACK_FRAMES)
        self._position = 0
        self._before: Samples = np.zeros(FRAME_SAMPLES, np.float32)

    def hear(self, samples: Samples, speech: Samples) -> None:
        """Take whole frames."""
        frames = samples.reshape(-1, FRAME_SAMPLES)
        powers = np.mean(np.square(frames), axis=1)
        for frame, power, probability in zip(frames, powers.tolist(), speech.tolist(), strict=True):
            self._position += FRAME_SAMPLES
            spoken = probability >= _SPEECH
            window = np.concatenate((self._before, frame)) if spoken else None
            self._frames.append(_Frame(self._position, power, spoken, 0.0, window))
            self._before = frame

    def unmeasured(self) -> Unmeasured | None:
        """Speech without its pitch, if there is any."""
        found = [(frame.window, frame.end) for frame in self._frames if frame.window is not None]
        if not found:
            return None
        windows, ends = zip(*found, strict=True)
        return Unmeasured(np.stack(windows), ends)

    def take(self, pitches: Mapping[int, float]) -> None:
        """Pitches in Hz (0.0: none) by the ends of their frames."""
        for frame in self._frames:
            if frame.end in pitches:
                frame.f0_hz = pitches[frame.end]
                frame.window = None

    def between(self, start: int, end: int) -> list[FrameMeasure]:
        """Frames that lie in a stretch of the stream."""
        return [
            FrameMeasure(frame.end, frame.power, frame.speech, frame.f0_hz)
            for frame in self._frames
            if start < frame.end <= end + FRAME_SAMPLES
        ]


@dataclass(slots=True)
class _Frame:
    end: int
    power: float
    speech: bool
    f0_hz: float
    window: Samples | None


def pitches(speech: Unmeasured) -> dict[int, float]:
    """The pitch of each frame by its end. Pure; 30 µs of CPU a frame."""
    return dict(zip(speech.ends, f0_hz(speech.windows).tolist(), strict=True))


def f0_hz(windows: Samples) -> Samples:
    """Pitch of pieces of 64 ms (one a row) by normalised autocorrelation; 0.0 where nothing repeats."""
    length = windows.shape[-1]
    centred = windows - windows.mean(axis=-1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * length, axis=-1)
    correlation = np.fft.irfft(np.square(spectrum.real) + np.square(spectrum.imag), axis=-1)
    # the overlap shrinks with the lag; dividing by it keeps low voices from looking aperiodic
    overlap = 1.0 - np.arange(length) / length
    shortest, longest = int(SAMPLE_RATE_HZ / _HIGHEST_F0_HZ), int(SAMPLE_RATE_HZ / _LOWEST_F0_HZ)
    energy = np.maximum(correlation[..., :1], _TINY)
    normal = correlation[..., shortest:longest] / (energy * overlap[shortest:longest])
    # the first peak that is nearly the best avoids octave errors downwards
    high = normal >= 0.9 * normal.max(axis=-1, keepdims=True)
    seen = np.logical_or.accumulate(high, axis=-1)
    falls = np.ones_like(high)
    falls[..., :-1] = normal[..., 1:] <= normal[..., :-1]
    best = np.argmax(seen & falls, axis=-1)
    strength = np.take_along_axis(normal, best[..., None], axis=-1)[..., 0]
    found: Samples = np.where(strength >= _PERIODIC, SAMPLE_RATE_HZ / (shortest + best), 0.0)
    return found


def syllables(text: str) -> int:
    """Groups of vowels, a fair count of syllables in the languages spoken here."""
    return len(_VOWELS.findall(text))


def measure(frames: Sequence[FrameMeasure], text: str) -> Measures | None:
    """A segment's measures; None when none of its frames is speech."""
    spoken = [frame for frame in frames if frame.speech]
    if not spoken:
        return None
    power = sum(frame.power for frame in spoken) / len(spoken)
    pitches = [frame.f0_hz for frame in spoken if frame.f0_hz > 0.0]
    low, middle, high = (float(p) for p in np.percentile(pitches, (10, 50, 90))) if pitches else (0.0,) * 3
    seconds = len(spoken) * FRAME_SAMPLES / SAMPLE_RATE_HZ
    return Measures(
        level_db=10.0 * math.log10(power) if power > 0.0 else _SILENT_DB,
        energy=min(1.0, math.sqrt(power)),
        f0_hz=middle,
        f0_range_st=_semitones(high, low),
        syllables_per_s=syllables(text) / seconds,
        speech_s=seconds,
    )


def updated(baseline: Measures | None, new: Measures) -> Measures:
    """The baseline after one more segment: a mean that forgets, weighted by the time spoken."""
    if baseline is None:
        return new
    weight = 1.0 - math.exp(-new.speech_s / _BASELINE_S)

    def towards(old: float, value: float) -> float:
        return old + weight * (value - old)

    return Measures(
        level_db=towards(baseline.level_db, new.level_db),
        energy=towards(baseline.energy, new.energy),
        f0_hz=towards(baseline.f0_hz or new.f0_hz, new.f0_hz or baseline.f0_hz),
        f0_range_st=towards(baseline.f0_range_st, new.f0_range_st),
        syllables_per_s=towards(baseline.syllables_per_s, new.syllables_per_s),
        speech_s=baseline.speech_s + new.speech_s,
    )


NEUTRAL: Final = Dynamics()
"""What is said of a segment that could not be measured."""


class Baseline:
    """What is usual for the speaker of one stream: the first sentence, and then more and more of them."""

    def __init__(self, *, ttl_s: float) -> None:
        """It is forgotten when nothing was said for `ttl_s` of audio: somebody else may speak then."""
        self._ttl = ttl_s * SAMPLE_RATE_HZ
        self._usual: Measures | None = None
        self._end = 0

    def describe(self, new: Measures, *, start: int, end: int, emotion: bool) -> Dynamics:
        """How a segment from `start` to `end` differs from what was said before it, which it then joins."""
        if start - self._end > self._ttl:
            self._usual = None
        found = describe(new, self._usual)
        self._usual = updated(self._usual, new)
        self._end = end
        return found if emotion else replace(found, emotion="neutral", intensity=0.0)


def describe(new: Measures, baseline: Measures | None) -> Dynamics:
    """How `new` differs from the baseline; neutral while there is none."""
    if baseline is None:
        return Dynamics(energy=new.energy)
    louder = new.level_db - baseline.level_db
    rate = new.syllables_per_s / baseline.syllables_per_s if baseline.syllables_per_s > 0.0 else 1.0
    higher = _semitones(new.f0_hz, baseline.f0_hz)
    livelier = new.f0_range_st - baseline.f0_range_st
    level, pace = louder / _LEVEL_UNIT_DB, (rate - 1.0) / _RATE_UNIT
    pitch, span = higher / _PITCH_UNIT_ST, livelier / _RANGE_UNIT_ST
    arousal = 0.4 * level + 0.3 * pitch + 0.15 * span + 0.15 * pace
    return Dynamics(
        volume_db=_clamp(louder, 20.0),
        rate=min(2.0, max(0.5, rate)),
        energy=new.energy,
        emotion=_emotion(arousal, louder=level, faster=pace, higher=pitch),
        intensity=min(1.0, abs(arousal) / _INTENSE),
    )


def _emotion(arousal: float, *, louder: float, faster: float, higher: float) -> str:
    if arousal <= -_LIVELY:
        return "calm"
    if louder >= _LIVELY and faster <= _UNHURRIED and higher < _LIVELY:
        return "emphatic"
    return "excited" if arousal >= _LIVELY else "neutral"


def _semitones(above_hz: float, below_hz: float) -> float:
    return 12.0 * math.log2(above_hz / below_hz) if above_hz > 0.0 and below_hz > 0.0 else 0.0


def _clamp(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))
