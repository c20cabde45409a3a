"""Speech to noise ratio, with or without pauses to hear the noise in. Pure.

In a pause the noise is what is heard. Where nobody pauses, it is what remains in each frequency band at its
quietest moments (minimum statistics): speech never fills all bands at once.
"""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES, Samples

Bands: TypeAlias = npt.NDArray[np.float32]
"""Mean power of frames in each band, shape (frames, BANDS)."""

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
SPEECH = 0.6
"""Probability from which a frame is speech here."""
NO_SPEECH = 0.1
# 31, 125, 250, 500, 1000, 2000 and 4000 Hz; what lies below is no sound
_EDGES = (1, 4, 8, 16, 32, 64, 128)
BANDS = len(_EDGES)
_WINDOW = np.hanning(FRAME_SAMPLES).astype(np.float32)
_SCALE = np.float32(2.0 / (FRAME_SAMPLES * float(np.sum(np.square(_WINDOW)))))
_QUIETEST = 0.05
# Mean over 5 % quantile of white noise in each band, and 1 dB less, which is what pauses that are no pauses
# add on recorded speech.
_ABOVE_QUIETEST = np.array([5.18, 4.17, 2.63, 1.93, 1.54, 1.36, 1.24]) * 10**-0.1
_LEAST_SPEECH_S = 1.0
_LEAST_PAUSE_S = 0.3
_LEAST_S = 2.5
_DIGITAL_ZERO = 1e-10
"""Power under which a frame comes from a gate or a mute, and tells nothing of the room."""
_TINY = 1e-12


def bands(samples: Samples) -> Bands:
    """The bands of whole frames."""
    spectra = np.fft.rfft(samples.reshape(-1, FRAME_SAMPLES) * _WINDOW, axis=1)
    power = np.square(spectra.real) + np.square(spectra.imag)
    return np.asarray(np.add.reduceat(power, _EDGES, axis=1) * _SCALE, np.float32)


def snr_db(powers: Bands, speech: Samples) -> float | None:
    """Speech to noise in dB from the bands and the speech probability of each frame.

    None when there is too little speech, or too little sound.
    """
    frames = powers.sum(axis=1)
    sounding = frames > _DIGITAL_ZERO
    spoken = sounding & (speech >= SPEECH)
    if _seconds(spoken) < _LEAST_SPEECH_S or _seconds(sounding) < _LEAST_S:
        return None
    pause = sounding & (speech <= NO_SPEECH)
    if _seconds(pause) >= _LEAST_PAUSE_S:
        noise = float(np.median(frames[pause]))
    else:
        noise = float(np.quantile(powers[sounding], _QUIETEST, axis=0) @ _ABOVE_QUIETEST)
    noise = max(noise, _TINY)
    voice = max(float(frames[spoken].mean()) - noise, _TINY)
    return 10.0 * math.log10(voice / noise)


def _seconds(frames: npt.NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(frames)) * FRAME_S
