"""Sound from files, and into files."""

import wave
from pathlib import Path
from types import TracebackType
from typing import Self

from babelcast.errors import InvalidAudioFormat
from babelcast.pcm import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from babelcast.wav import Sound, read


def load(path: Path) -> Sound:
    """A file's sound, mono 16 bits. Whatever a session does not take as it is becomes 16 kHz.

    Raises: InvalidAudioFormat when the file holds no sound that can be read; OSError.
    """
    try:
        return read(path)
    except InvalidAudioFormat:
        return _converted(path)


class Recording:
    """A WAV file that grows with what is heard. It is made at once, so that a bad path is known early."""

    def __init__(self, path: Path) -> None:
        self.seconds = 0.0
        self._file = path.open("wb")
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115 - closed by `close`
        self._wave.setnchannels(1)
        self._wave.setsampwidth(BYTES_PER_SAMPLE)
        self._rate_hz = 0

    def add(self, sound: Sound) -> None:
        """Append; the first sound sets the file's sample rate, others are resampled to it."""
        if not self._rate_hz:
            self._rate_hz = sound.sample_rate_hz
            self._wave.setframerate(self._rate_hz)
        self._wave.writeframesraw(_resampled(sound, self._rate_hz))
        self.seconds += sound.seconds

    def close(self) -> None:
        """Finish the file; idempotent."""
        if self._file.closed:
            return
        if not self._rate_hz:
            self._wave.setframerate(SAMPLE_RATE_HZ)
            self._wave.writeframes(b"")
        self._wave.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _converted(path: Path) -> Sound:
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
            frames = [frame for decoded in container.decode(audio=0) for frame in resampler.resample(decoded)]
            frames += resampler.resample(None)
            pcm = b"".join(bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE] for frame in frames)
    except (FFmpegError, IndexError) as error:
        raise InvalidAudioFormat(f"{path.name} holds no sound that can be read.") from error
    if not pcm:
        raise InvalidAudioFormat(f"{path.name} holds no sound.")
    return Sound(pcm, SAMPLE_RATE_HZ)


def _resampled(sound: Sound, rate_hz: int) -> bytes:
    if sound.sample_rate_hz == rate_hz:
        return sound.pcm
    import numpy as np
    import soxr

    samples = np.frombuffer(sound.pcm, dtype="<i2")
    return bytes(soxr.resample(samples, sound.sample_rate_hz, rate_hz).astype("<i2").tobytes())
