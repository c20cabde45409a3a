"""Loudness after ITU-R BS.1770-4, and samples brought to it."""

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float64]

TARGET_LUFS = -20.0
_HOP_S = 0.1
_HOPS_PER_BLOCK = 4  # blocks of 400 ms that overlap by 75 %
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0
_OFFSET_LU = -0.691
# The K-weighting's two filters at 48 kHz (BS.1770-4, tables 1 and 2), used as a frequency response.
_REFERENCE_HZ = 48_000
_SHELF = ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585))
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
_KNEE = 0.7
_SILENT = 10 ** (-50 / 20)
_TAIL_S = 0.06
_FADE_IN_S, _FADE_OUT_S = 0.002, 0.02


def integrated_loudness(samples: Samples, sample_rate_hz: int) -> float:
    """Gated loudness of mono samples in −1…1, LUFS; −inf for silence. Short clips count as one block."""
    hop = int(_HOP_S * sample_rate_hz)
    energies = _weighted_energies(samples, sample_rate_hz, hop)
    if len(energies) <= _HOPS_PER_BLOCK:
        return _lufs(float(energies.sum()) / len(samples) if len(samples) else 0.0)
    powers = np.convolve(energies, np.ones(_HOPS_PER_BLOCK), "valid") / (_HOPS_PER_BLOCK * hop)
    loud = powers[powers > _power(_ABSOLUTE_GATE_LUFS)]
    if not len(loud):
        return -np.inf
    gate = _power(_lufs(float(loud.mean())) + _RELATIVE_GATE_LU)
    return _lufs(float(loud[loud > gate].mean()))


def trim_end(samples: Samples, sample_rate_hz: int) -> Samples:
    """Without the silence at the end, but for 60 ms; empty when all is silent."""
    sounding = np.flatnonzero(np.abs(samples) > _SILENT)
    return samples[: sounding[-1] + int(_TAIL_S * sample_rate_hz)] if len(sounding) else samples[:0]


def level(samples: Samples, sample_rate_hz: int, *, gain_db: float) -> Samples:
    """Samples at TARGET_LUFS plus `gain_db`, softly limited so that none is above full scale."""
    loudness = integrated_loudness(samples, sample_rate_hz)
    if not np.isfinite(loudness):
        return samples
    return limit(samples * 10 ** ((TARGET_LUFS + gain_db - loudness) / 20))


def finished(samples: Samples, *, from_hz: int, to_hz: int, gain_db: float) -> bytes:
    """A voice as listeners get it, 16-bit PCM: without silence at the end, at TARGET_LUFS plus a gain, and
    without a click at either end.
    """
    trimmed = trim_end(samples, from_hz)
    return to_pcm(level(faded(trimmed, from_hz), from_hz, gain_db=gain_db), from_hz=from_hz, to_hz=to_hz)


def faded(samples: Samples, sample_rate_hz: int) -> Samples:
    """Begins and ends in silence: some voices start in the middle of a sound."""
    shaped = samples.copy()
    rise = min(round(_FADE_IN_S * sample_rate_hz), len(shaped) // 2)
    fall = min(round(_FADE_OUT_S * sample_rate_hz), len(shaped) // 2)
    shaped[:rise] *= np.linspace(0.0, 1.0, rise)
    shaped[len(shaped) - fall :] *= np.linspace(1.0, 0.0, fall)
    return shaped


def limit(samples: Samples) -> Samples:
    """Peaks above 0.7 are bent so that they approach full scale and never pass it."""
    limited = samples.copy()
    loud = np.abs(samples) > _KNEE
    beyond = (np.abs(samples[loud]) - _KNEE) / (1 - _KNEE)
    limited[loud] = np.sign(samples[loud]) * (_KNEE + (1 - _KNEE) * np.tanh(beyond))
    return limited


def to_pcm(samples: Samples, *, from_hz: int, to_hz: int) -> bytes:
    """Signed 16-bit little-endian PCM at another rate."""
    resampled = soxr.resample(samples, from_hz, to_hz) if len(samples) else samples
    return (np.clip(resampled, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def from_pcm(pcm: bytes) -> Samples:
    """Samples in −1…1."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768


def _weighted_energies(samples: Samples, sample_rate_hz: int, hop: int) -> Samples:
    """The K-weighted energy of each `hop` samples, by Parseval's theorem: quicker than a filter."""
    padded = np.zeros(-(-len(samples) // hop) * hop)
    padded[: len(samples)] = samples
    spectra = np.fft.rfft(padded.reshape(-1, hop))
    energies: Samples = (spectra.real**2 + spectra.imag**2) @ _weights(hop, sample_rate_hz)
    return energies


@lru_cache(maxsize=8)
def _weights(size: int, sample_rate_hz: int) -> Samples:
    """What each frequency of a real transform of `size` samples adds to their K-weighted energy."""
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1 / sample_rate_hz) / _REFERENCE_HZ)
    response = np.ones_like(z)
    for above, below in (_SHELF, _HIGH_PASS):
        response *= np.polyval(above[::-1], z) / np.polyval(below[::-1], z)
    both_sides = np.full(len(z), 2.0)
    both_sides[0] = 1.0
    if size % 2 == 0:
        both_sides[-1] = 1.0
    weights: Samples = both_sides * np.abs(response) ** 2 / size
    return weights


def _lufs(power: float) -> float:
    return _OFFSET_LU + 10 * float(np.log10(power)) if power > 0 else -np.inf


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_LU) / 10))
