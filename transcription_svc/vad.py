"""Voice activity: silero's network on onnxruntime, without torch.

The network sees 32 ms frames with 4 ms of context before each and carries an LSTM state along.
"""

import importlib.util
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime

from babelcast.errors import ServiceUnavailable
from transcription_svc.audio import FRAME_SAMPLES, Samples

_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)
_FILE = Path("assets") / "silero_vad_v6.onnx"


class SpeechTrack(Protocol):
    """Follows one stream."""

    def probabilities(self, samples: Samples) -> Samples:
        """Probability of speech for each whole frame of `samples`, 0.0 to 1.0."""
        ...


class SpeechDetector(Protocol):
    """Makes tracks."""

    def track(self) -> SpeechTrack:
        """A track for a new stream."""
        ...


class SileroDetector:
    """Loads the network once; its tracks share it. Safe to use from several threads."""

    def __init__(self) -> None:
        """Raises: ServiceUnavailable when the network's file is not installed."""
        # the package is only located, not imported: importing it loads the whole recogniser
        package = importlib.util.find_spec("faster_whisper")
        file = Path(package.origin).parent / _FILE if package is not None and package.origin else None
        if file is None or not file.is_file():
            raise ServiceUnavailable("The voice activity network is not installed (package faster-whisper).")
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        self._network = onnxruntime.InferenceSession(
            str(file), providers=["CPUExecutionProvider"], sess_options=options
        )

    def track(self) -> "SileroTrack":
        """A track for a new stream."""
        return SileroTrack(self._network)


class SileroTrack:
    """One stream's state of the network."""

    def __init__(self, network: onnxruntime.InferenceSession) -> None:
        self._network = network
        self._h: Samples = np.zeros(_STATE_SHAPE, np.float32)
        self._c: Samples = np.zeros(_STATE_SHAPE, np.float32)
        self._context: Samples = np.zeros(_CONTEXT_SAMPLES, np.float32)

    def probabilities(self, samples: Samples) -> Samples:
        """Probability of speech for each whole frame of `samples`, 0.0 to 1.0."""
        if not len(samples):
            return np.zeros(0, np.float32)
        frames = samples.reshape(-1, FRAME_SAMPLES)
        before = np.concatenate((self._context[None], frames[:-1, -_CONTEXT_SAMPLES:]))
        inputs = {"input": np.concatenate((before, frames), axis=1), "h": self._h, "c": self._c}
        speech, self._h, self._c = self._network.run(None, inputs)
        self._context = frames[-1, -_CONTEXT_SAMPLES:]
        flat: Samples = np.asarray(speech, np.float32).reshape(-1)
        return flat
