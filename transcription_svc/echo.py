"""A delayed copy of the voice in a stretch of sound. Pure."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples

SHORTEST_MS = 10
LONGEST_MS = 500
_SMOOTH_HZ = 150.0
"""Width of the mean that takes vowels out and leaves the ripples of an echo in."""
_TINY = 1e-12
_STRONGEST = 0.499
_WEAKEST = 1e-6


@dataclass(frozen=True, slots=True)
class Echo:
    """The strongest delayed copy."""

    level_db: float
    """Relative to the direct sound."""
    delay_ms: float


def strongest_echo(samples: Samples) -> Echo | None:
    """The strongest copy between 10 and 500 ms; None in digital silence. About 3 ms of CPU for 3.6 s.

    It is a peak in the autocorrelation of the whitened signal: dividing the power spectrum by its own smooth
    course takes pitch and vowels out, and what repeats at one delay remains. An echo of amplitude a peaks at
    a / (1 + a²).
    """
    first, last = SHORTEST_MS * SAMPLE_RATE_HZ // 1000, LONGEST_MS * SAMPLE_RATE_HZ // 1000
    # lags up to the longest must not wrap around
    size = 1 << (len(samples) + last - 1).bit_length()
    spectrum = np.fft.rfft(samples * np.hanning(len(samples)).astype(np.float32), size)
    power = np.square(spectrum.real, dtype=np.float64) + np.square(spectrum.imag, dtype=np.float64)
    if float(power.sum()) <= _TINY:
        return None
    correlation = np.fft.irfft(power / _smooth(power, round(_SMOOTH_HZ * size / SAMPLE_RATE_HZ)))
    lags = correlation[first : last + 1]
    best = int(np.argmax(lags))
    peak = min(_STRONGEST, max(_WEAKEST, float(lags[best] / correlation[0])))
    amplitude = (1.0 - math.sqrt(1.0 - 4.0 * peak * peak)) / (2.0 * peak)
    return Echo(20.0 * math.log10(max(amplitude, _WEAKEST)), 1000.0 * (first + best) / SAMPLE_RATE_HZ)


def _smooth(power: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    before = width // 2
    total = np.cumsum(np.concatenate((np.zeros(before + 1), power, np.zeros(width - before))))
    mean: npt.NDArray[np.float64] = (total[width:] - total[:-width])[: len(power)] / width
    return np.maximum(mean, _TINY)
