"""Is the speaker's audio good enough? Noise, clipping, echo and silence, each with a way in and a way out.

Everything is counted in audio, not in wall time. An issue becomes active when its measure crosses the
threshold and clears only when the measure is well on the good side again, so that it does not flicker.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES, Samples

_FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
_SPEECH = 0.6
_NO_SPEECH = 0.1
_TINY = 1e-12


class Issue(Enum):
    """What can be wrong."""

    SNR_LOW = "snr_low"
    CLIPPING = "clipping"
    ECHO = "echo"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class QualityPolicy:
    """Thresholds; defaults are those of the client protocol."""

    snr_db: float = 20.0
    """Speech to noise below which an issue is active; 10 to 40."""
    snr_window_s: float = 5.0
    snr_clear_db: float = 2.0
    """How far above the threshold it clears."""
    clipping_percent: float = 1.0
    """Share of samples near full scale in 100 ms; 0.1 to 10."""
    clipping_level: float = 0.98
    clipping_clear_s: float = 3.0
    """Audio without clipping after which it clears."""
    echo_db: float = -15.0
    """Strength of a delayed copy relative to the voice."""
    echo_shortest_ms: int = 10
    echo_longest_ms: int = 500
    echo_window_s: float = 4.0
    silence_dbfs: float = -50.0
    silence_s: float = 5.0


@dataclass(frozen=True, slots=True)
class QualityChange:
    """An issue appeared or cleared."""

    issue: Issue
    active: bool
    measurements: Mapping[str, float]


class QualityMonitor:
    """Follows one stream."""

    def __init__(self, policy: QualityPolicy | None = None) -> None:
        self._policy = policy or QualityPolicy()
        self._active: set[Issue] = set()
        frames = round(self._policy.snr_window_s / _FRAME_S)
        self._powers: deque[tuple[float, float]] = deque(maxlen=frames)
        self._noise_power: float | None = None
        self._quiet_s = 0.0
        self._clean_s = 0.0
        self._window: list[Samples] = []
        self._voiced: deque[Samples] = deque(maxlen=round(self._policy.echo_window_s / _FRAME_S))
        self._voiced_since_echo = 0

    def hear(self, samples: Samples, speech: Samples) -> list[QualityChange]:
        """Take whole frames with their speech probabilities."""
        changes: list[QualityChange] = []
        for frame, probability in zip(samples.reshape(-1, FRAME_SAMPLES), speech, strict=True):
            power = float(np.mean(np.square(frame)))
            changes += self._silence(power)
            changes += self._clipping(frame)
            self._powers.append((power, float(probability)))
            if probability >= _SPEECH:
                self._voiced.append(frame)
                self._voiced_since_echo += 1
        return changes

    def second_passed(self) -> list[QualityChange]:
        """Judge what needs a longer look; call it about once a second of audio. Takes some ms of CPU."""
        return [*self._snr(), *self._echo()]

    def _silence(self, power: float) -> list[QualityChange]:
        level = 10.0 * math.log10(power + _TINY)
        if level >= self._policy.silence_dbfs:
            self._quiet_s = 0.0
            return self._set(Issue.SILENCE, active=False, level_dbfs=level)
        self._quiet_s += _FRAME_S
        if self._quiet_s < self._policy.silence_s:
            return []
        return self._set(
            Issue.SILENCE, active=True, level_dbfs=level, threshold_dbfs=self._policy.silence_dbfs
        )

    def _clipping(self, frame: Samples) -> list[QualityChange]:
        self._window.append(frame)
        if len(self._window) < round(0.1 / _FRAME_S):
            return []
        samples = np.concatenate(self._window)
        self._window.clear()
        percent = 100.0 * float(np.mean(np.abs(samples) >= self._policy.clipping_level))
        measured = {"clipped_percent": percent, "threshold_percent": self._policy.clipping_percent}
        if percent > self._policy.clipping_percent:
            self._clean_s = 0.0
            return self._set(Issue.CLIPPING, active=True, **measured)
        self._clean_s += len(samples) / SAMPLE_RATE_HZ
        if self._clean_s < self._policy.clipping_clear_s:
            return []
        return self._set(Issue.CLIPPING, active=False, **measured)

    def _snr(self) -> list[QualityChange]:
        measured = snr_db(list(self._powers), self._noise_power)
        if measured is None:
            return []
        snr, self._noise_power = measured
        threshold = self._policy.snr_db
        values = {"snr_db": snr, "threshold_db": threshold}
        if snr < threshold:
            return self._set(Issue.SNR_LOW, active=True, **values)
        if snr >= threshold + self._policy.snr_clear_db:
            return self._set(Issue.SNR_LOW, active=False, **values)
        return []

    def _echo(self) -> list[QualityChange]:
        full = self._voiced.maxlen or 0
        if len(self._voiced) < full or self._voiced_since_echo < full // 2:
            return []
        self._voiced_since_echo = 0
        strength, delay_ms = echo(
            np.concatenate(self._voiced),
            shortest_ms=self._policy.echo_shortest_ms,
            longest_ms=self._policy.echo_longest_ms,
        )
        values = {"echo_db": strength, "delay_ms": delay_ms, "threshold_db": self._policy.echo_db}
        return self._set(Issue.ECHO, active=strength > self._policy.echo_db, **values)

    def _set(self, issue: Issue, *, active: bool, **measurements: float) -> list[QualityChange]:
        if active == (issue in self._active):
            return []
        (self._active.add if active else self._active.discard)(issue)
        return [QualityChange(issue, active, measurements)]


def snr_db(frames: list[tuple[float, float]], noise_before: float | None) -> tuple[float, float] | None:
    """Speech to noise ratio in dB and the noise's power, from (power, speech probability) of each frame.

    Noise is measured where nobody speaks; if there is no such place, what was measured before holds on.
    None when there is too little speech, or no noise is known yet.
    """
    speech = [power for power, probability in frames if probability >= _SPEECH]
    silent = [power for power, probability in frames if probability <= _NO_SPEECH]
    if len(speech) * _FRAME_S < 1.0:
        return None
    noise = noise_before
    if len(silent) * _FRAME_S >= 0.3:  # noqa: PLR2004 - seconds that make a mean trustworthy
        noise = float(np.median(silent))
    if noise is None:
        return None
    voice = max(float(np.mean(speech)) - noise, _TINY)
    return 10.0 * math.log10(voice / max(noise, _TINY)), noise


def echo(samples: Samples, *, shortest_ms: int, longest_ms: int) -> tuple[float, float]:
    """Strength (dB of the direct sound) and delay (ms) of the strongest delayed copy.

    The autocorrelation of the whitened signal: dividing the power spectrum by its own smooth course takes
    pitch and vowels out, and what repeats at one delay remains as a peak.
    """
    size = 1 << (2 * len(samples) - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(samples, size)))
    width = size // 400
    smooth = np.convolve(power, np.ones(width) / width, mode="same") + _TINY
    correlation = np.fft.irfft(power / smooth)
    first, last = shortest_ms * SAMPLE_RATE_HZ // 1000, longest_ms * SAMPLE_RATE_HZ // 1000
    normal = correlation[first : last + 1] / correlation[0]
    best = int(np.argmax(normal))
    peak = min(0.499, max(1e-6, float(normal[best])))
    # an echo of amplitude a peaks at a / (1 + a²)
    amplitude = (1.0 - math.sqrt(1.0 - 4.0 * peak * peak)) / (2.0 * peak)
    return 20.0 * math.log10(max(amplitude, 1e-6)), 1000.0 * (first + best) / SAMPLE_RATE_HZ
