"""WAV files in and out."""

import wave
from dataclasses import dataclass
from pathlib import Path

from babelcast.errors import InvalidAudioFormat
from babelcast.pcm import BYTES_PER_SAMPLE, INPUT_RATES_HZ


@dataclass(frozen=True, slots=True)
class Sound:
    """Signed 16-bit little-endian mono samples and their rate."""

    pcm: bytes
    sample_rate_hz: int

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.pcm) / BYTES_PER_SAMPLE / self.sample_rate_hz


def read(path: Path) -> Sound:
    """Read a mono 16-bit WAV file at one of the rates a session takes.

    Raises: InvalidAudioFormat naming what does not fit; OSError.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise InvalidAudioFormat(f"{path.name} is not a PCM WAV file: {error}") from error
    if channels != 1:
        raise InvalidAudioFormat(f"{path.name} has {channels} channels; one is needed.", channels=channels)
    if width != BYTES_PER_SAMPLE:
        raise InvalidAudioFormat(f"{path.name} has {8 * width}-bit samples; 16 bits are needed.")
    if rate not in INPUT_RATES_HZ:
        raise InvalidAudioFormat(f"{path.name} has {rate} samples a second; use one of {INPUT_RATES_HZ}.")
    return Sound(pcm, rate)


def write(path: Path, sound: Sound) -> None:
    """Write a mono 16-bit WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(sound.sample_rate_hz)
        file.writeframes(sound.pcm)
