"""Samples inside the service: 16 kHz mono float32 in −1.0 to 1.0, handed on in whole VAD frames."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from babelcast.errors import InvalidAudioFormat
from babelcast.pcm import BYTES_PER_SAMPLE, INPUT_RATES_HZ, SAMPLE_RATE_HZ

Samples: TypeAlias = npt.NDArray[np.float32]

FRAME_SAMPLES = 512
"""One VAD frame, 32 ms."""
_FULL_SCALE = 32768.0


class PcmReader:
    """Turns PCM of any accepted rate into 16 kHz samples, without seams between chunks."""

    def __init__(self, sample_rate_hz: int) -> None:
        """Raises: InvalidAudioFormat for a rate that is not accepted."""
        if sample_rate_hz not in INPUT_RATES_HZ:
            raise InvalidAudioFormat(
                f"Audio has {sample_rate_hz} samples a second; use one of {INPUT_RATES_HZ}.",
                parameter="sampleRate",
            )
        self._resampler = (
            None
            if sample_rate_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="MQ")
        )

    def read(self, pcm: bytes) -> Samples:
        """The samples that `pcm` completes.

        Raises: InvalidAudioFormat when it ends in the middle of a sample.
        """
        if len(pcm) % BYTES_PER_SAMPLE:
            raise InvalidAudioFormat(
                f"Audio of {len(pcm)} bytes ends in the middle of a 16-bit sample.", bytes=len(pcm)
            )
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(_FULL_SCALE)
        return self._resample(samples, last=False)

    def flush(self) -> Samples:
        """What the resampler still holds."""
        return self._resample(np.zeros(0, np.float32), last=True)

    def _resample(self, samples: Samples, *, last: bool) -> Samples:
        if self._resampler is None:
            return samples
        resampled: Samples = self._resampler.resample_chunk(samples, last=last)
        return resampled


class Framer:
    """Cuts a run of samples into whole frames and keeps the rest for the next call."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> Samples:
        """All whole frames, one after the other; a multiple of `FRAME_SAMPLES`, maybe empty."""
        joined = np.concatenate((self._rest, samples)) if self._rest.size else samples
        whole = len(joined) - len(joined) % FRAME_SAMPLES
        self._rest = joined[whole:]
        return joined[:whole]

    def flush(self) -> Samples:
        """The rest, filled up with silence to a whole frame; empty if there is none."""
        rest, self._rest = self._rest, np.zeros(0, np.float32)
        return np.pad(rest, (0, -len(rest) % FRAME_SAMPLES))


class SampleBuffer:
    """The newest part of a stream's samples, addressed by their position in the stream."""

    def __init__(self) -> None:
        self.start = 0
        self._parts: list[Samples] = []
        self._length = 0

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self.start + self._length

    def append(self, samples: Samples) -> None:
        """Add samples at the end."""
        self._parts.append(samples)
        self._length += len(samples)

    def forget_before(self, position: int) -> None:
        """Drop whole parts that lie before `position`."""
        while self._parts and self.start + len(self._parts[0]) <= position:
            gone = self._parts.pop(0)
            self.start += len(gone)
            self._length -= len(gone)

    def cut(self, start: int, end: int) -> Samples:
        """A copy of the samples from `start` to `end`, clamped to what is there."""
        joined = np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)
        return joined[max(0, start - self.start) : max(0, end - self.start)]
