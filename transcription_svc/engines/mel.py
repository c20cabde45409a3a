"""Whisper's input: the log mel spectrogram of 16 kHz audio (25 ms windows every 10 ms).

After OpenAI's whisper/audio.py: Slaney mel filters, base 10 logarithm, a floor 8 below the maximum.
"""

import functools

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples

BANDS = 80
"""Of all models but large-v3 and what was made from it, which take 128."""
FRAMES_PER_SECOND = 100
_WINDOW = 400
_HOP = SAMPLE_RATE_HZ // FRAMES_PER_SECOND
_DYNAMIC_RANGE = 8.0
_KNEE_HZ = 1000.0
_KNEE_MEL = 15.0
_MEL_PER_LOG = 27.0 / float(np.log(6.4))
"""Slaney's scale: linear up to 1 kHz, logarithmic above."""


def log_mel(samples: Samples, padded_samples: int, *, bands: int = BANDS) -> Samples:
    """The spectrogram of `samples` followed by silence up to `padded_samples`; shape (bands, frames)."""
    spoken = len(samples) // _HOP + 3
    frames = padded_samples // _HOP
    padded = np.zeros((min(spoken, frames) + 2) * _HOP + _WINDOW, np.float32)
    half = _WINDOW // 2
    padded[half : half + len(samples)] = samples[: len(padded) - half]
    padded[:half] = padded[half + 1 : 2 * half + 1][::-1]
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][: min(spoken, frames)]
    power = np.abs(np.fft.rfft(windows * _hann(), axis=1)).astype(np.float32) ** 2
    levels = np.full((bands, frames), 1e-10, np.float32)
    # not `@`: BLAS would wake all cores for it, and its threads spin for longer than the product takes
    levels[:, : len(windows)] = np.maximum(np.einsum("bf,tf->bt", _filters(bands), power), 1e-10)
    logarithm = np.log10(levels)
    floored = np.maximum(logarithm, logarithm.max() - _DYNAMIC_RANGE)
    scaled: Samples = np.ascontiguousarray((floored + 4.0) / 4.0, np.float32)
    return scaled


@functools.cache
def _hann() -> Samples:
    window: Samples = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    return window


@functools.cache
def _filters(bands: int) -> Samples:
    """Triangular filters of equal area on Slaney's mel scale; shape (bands, 201)."""
    edges_mel = np.linspace(0.0, _mel_of_nyquist(), bands + 2)
    linear = edges_mel * _KNEE_HZ / _KNEE_MEL
    logarithmic = _KNEE_HZ * np.exp((edges_mel - _KNEE_MEL) / _MEL_PER_LOG)
    edges = np.where(edges_mel < _KNEE_MEL, linear, logarithmic)
    bins = np.fft.rfftfreq(_WINDOW, 1.0 / SAMPLE_RATE_HZ)
    ramps = edges[:, None] - bins[None, :]
    widths = np.diff(edges)
    rising = -ramps[:-2] / widths[:-1, None]
    falling = ramps[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: Samples = (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    return filters


def _mel_of_nyquist() -> float:
    return _KNEE_MEL + _MEL_PER_LOG * float(np.log(SAMPLE_RATE_HZ / 2 / _KNEE_HZ))
