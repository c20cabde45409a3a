"""Whether there is sound: all that scripted speech needs of the detection of speech."""

import numpy as np

from transcription_svc.audio import FRAME_SAMPLES, Samples

_SILENT = (8 / 32768) ** 2
"""Mean square of a frame below which it is silent."""


class SoundDetector:
    """Takes any sound for speech. Keeps nothing, so one serves all streams."""

    def track(self) -> "SoundDetector":
        """A track for a new stream."""
        return self

    def probabilities(self, samples: Samples) -> Samples:
        """1.0 for each whole frame of `samples` with sound, else 0.0."""
        frames = samples.reshape(-1, FRAME_SAMPLES)
        speech: Samples = (np.mean(np.square(frames), axis=1) >= _SILENT).astype(np.float32)
        return speech
