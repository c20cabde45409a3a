"""The speaker's chunks on their way in: checked, brought to 16 kHz, and to the volume that was set."""

import numpy as np
import soxr

from babelcast.errors import AudioChunkTooLarge, InvalidAudioFormat
from babelcast.pcm import BYTES_PER_SAMPLE, INPUT_RATES_HZ, SAMPLE_RATE_HZ

MIN_CHUNK_BYTES = 100
MAX_CHUNK_BYTES = 32 * 1024


class Ingest:
    """Keeps the declared sample rate of one speaker and the resampler's state between chunks."""

    def __init__(self) -> None:
        self._rate_hz: int | None = None
        self._resampler: soxr.ResampleStream | None = None

    def accept(self, pcm: bytes, *, sample_rate_hz: int | None, volume: float) -> bytes:
        """Signed 16-bit little-endian mono at 16 kHz, scaled by `volume` (0.0 to 1.0).

        `sample_rate_hz` counts on the first chunk; None is 16 kHz, or what was declared before.

        Raises: InvalidAudioFormat, AudioChunkTooLarge.
        """
        if len(pcm) > MAX_CHUNK_BYTES:
            raise AudioChunkTooLarge(size=len(pcm), limit=MAX_CHUNK_BYTES)
        if len(pcm) < MIN_CHUNK_BYTES:
            raise InvalidAudioFormat(f"A chunk has at least {MIN_CHUNK_BYTES} bytes.", size=len(pcm))
        if len(pcm) % BYTES_PER_SAMPLE:
            raise InvalidAudioFormat("A chunk of 16-bit samples has an even number of bytes.", size=len(pcm))
        self._declare(sample_rate_hz)
        if self._resampler is None and volume == 1.0:
            return pcm
        samples = np.frombuffer(pcm, dtype="<i2")
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        if volume != 1.0:
            samples = (samples * volume).astype("<i2")
        return samples.tobytes()

    def _declare(self, sample_rate_hz: int | None) -> None:
        rate_hz = sample_rate_hz or self._rate_hz or SAMPLE_RATE_HZ
        if rate_hz not in INPUT_RATES_HZ:
            raise InvalidAudioFormat(
                f"sampleRate must be one of {', '.join(map(str, INPUT_RATES_HZ))}.", parameter="sampleRate"
            )
        if self._rate_hz not in (None, rate_hz):
            raise InvalidAudioFormat("sampleRate cannot change during a talk.", parameter="sampleRate")
        if self._rate_hz is None:
            self._rate_hz = rate_hz
            if rate_hz != SAMPLE_RATE_HZ:
                self._resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="int16", quality="MQ")
