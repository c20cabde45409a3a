"""The speaker's chunks on their way in: checked, brought to 16 kHz, and to the volume that was set."""

import numpy as np
import numpy.typing as npt
import soxr

from babelcast.errors import AudioChunkTooLarge, InvalidAudioFormat
from babelcast.pcm import BYTES_PER_SAMPLE, INPUT_RATES_HZ, SAMPLE_RATE_HZ
from gateway import foreign_audio

MIN_CHUNK_BYTES = 100
MAX_CHUNK_BYTES = 32 * 1024
# Seconds of sound that are looked at; then a stream counts as what it says.
LOOKS = 3
# Mean size of samples above which a chunk is sound that tells something.
_SOUND = 30.0


class Ingest:
    """Keeps the declared sample rate of one speaker and the resampler's state between chunks."""

    def __init__(self) -> None:
        self._rate_hz: int | None = None
        self._resampler: soxr.ResampleStream | None = None
        self._suspicion = Suspicion()

    def accept(self, pcm: bytes, *, sample_rate_hz: int | None, volume: float) -> bytes:
        """Signed 16-bit little-endian mono at 16 kHz, scaled by `volume` (0.0 to 1.0).

        `sample_rate_hz` counts on the first chunk; None is 16 kHz, or what was declared before.

        Raises: InvalidAudioFormat, AudioChunkTooLarge.
        """
        if len(pcm) > MAX_CHUNK_BYTES:
            raise AudioChunkTooLarge(size=len(pcm), limit=MAX_CHUNK_BYTES)
        self._suspicion.begin(pcm)
        if len(pcm) < MIN_CHUNK_BYTES:
            raise InvalidAudioFormat(f"A chunk has at least {MIN_CHUNK_BYTES} bytes.", size=len(pcm))
        if len(pcm) % BYTES_PER_SAMPLE:
            raise InvalidAudioFormat("A chunk of 16-bit samples has an even number of bytes.", size=len(pcm))
        rate_hz = self._declare(sample_rate_hz)
        self._suspicion.hear(pcm, rate_hz)
        if self._resampler is None and volume == 1.0:
            return pcm
        samples = np.frombuffer(pcm, dtype="<i2")
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        return _scaled(samples, volume)

    def flush(self, *, volume: float) -> bytes:
        """The last milliseconds, which the resampler holds back; it then begins anew."""
        if self._resampler is None:
            return b""
        rest = self._resampler.resample_chunk(np.zeros(0, "<i2"), last=True)
        self._resampler.clear()
        return _scaled(rest, volume)

    def _declare(self, sample_rate_hz: int | None) -> int:
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
        return rate_hz


class Suspicion:
    """Looks for a wrong format: at the first bytes, and at the first seconds of sound.

    After a bad second the stream is refused until a good one comes, so that a client may correct itself.
    """

    def __init__(self) -> None:
        self._begun = False
        self._verdict: str | None = None
        self._good = 0
        self._window: list[bytes] = []
        self._size = 0

    def begin(self, chunk: bytes) -> None:
        """Look at the very first bytes. Raises: InvalidAudioFormat naming what they are."""
        if self._begun:
            return
        self._begun = True
        self._verdict = foreign_audio.recognise(chunk)
        # a WAV file's header is in the way once; its samples may be right
        wav = chunk[:1] == b"R"
        try:
            self._refuse()
        finally:
            self._verdict = None if wav else self._verdict

    def hear(self, pcm: bytes, rate_hz: int) -> None:
        """Look at a chunk of whole samples. Raises: InvalidAudioFormat naming what the sound looks like."""
        if self._good >= LOOKS:
            return
        samples = np.frombuffer(pcm, "<i2")
        if float(np.mean(np.abs(samples.astype(np.float32)))) > _SOUND:
            self._window.append(pcm)
            self._size += len(pcm)
        if self._size >= max(foreign_audio.LEAST_BYTES, BYTES_PER_SAMPLE * rate_hz):
            self._verdict = foreign_audio.suspect(b"".join(self._window))
            self._window.clear()
            self._size = 0
            self._good = self._good + 1 if self._verdict is None else 0
        self._refuse()

    def _refuse(self) -> None:
        if self._verdict is not None:
            raise InvalidAudioFormat(
                f"The audio looks like {self._verdict}. {foreign_audio.WANTED}", found=self._verdict
            )


def _scaled(samples: npt.NDArray[np.int16], volume: float) -> bytes:
    return bytes((samples if volume == 1.0 else (samples * volume).astype("<i2")).tobytes())
