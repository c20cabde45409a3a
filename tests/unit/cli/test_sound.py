"""Files become sound and sound becomes files."""

import wave
from pathlib import Path

import numpy as np
import pytest

from babelcast.errors import InvalidAudioFormat
from babelcast.wav import Sound, read
from cli import sound


def write_stereo(path: Path, *, rate_hz: int, seconds: float) -> None:
    """A stereo tone."""
    wave_shape = np.sin(2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz)
    samples = (wave_shape * 10_000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.column_stack([samples, samples]).tobytes())


def test_usual_speech_is_taken_as_it_is(jfk_wav: Path) -> None:
    """A mono 16 kHz file is not touched."""
    assert sound.load(jfk_wav) == read(jfk_wav)


def test_other_sound_becomes_16_khz_mono(tmp_path: Path) -> None:
    """Stereo at 44.1 kHz keeps its length and its loudness."""
    path = tmp_path / "stereo.wav"
    write_stereo(path, rate_hz=44_100, seconds=1.5)
    loaded = sound.load(path)
    assert loaded.sample_rate_hz == 16_000
    assert loaded.seconds == pytest.approx(1.5, abs=0.02)
    peak = int(np.abs(np.frombuffer(loaded.pcm, dtype="<i2")).max())
    assert 8_000 < peak < 11_000


@pytest.mark.parametrize("content", [b"", b"no sound at all" * 100])
def test_what_is_no_sound_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    """The error names the file."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(InvalidAudioFormat, match=r"notes\.txt"):
        sound.load(path)


def test_a_recording_holds_everything_at_its_first_rate(tmp_path: Path) -> None:
    """Further sounds are resampled to the rate of the first."""
    path = tmp_path / "talk.wav"
    with sound.Recording(path) as recording:
        recording.add(Sound(bytes(32_000), 16_000))
        recording.add(Sound(bytes(24_000), 24_000))
        recording.close()
    assert recording.seconds == pytest.approx(1.5)
    written = read(path)
    assert written.sample_rate_hz == 16_000
    assert written.seconds == pytest.approx(1.5, abs=0.01)


def test_an_empty_recording_is_a_whole_file(tmp_path: Path) -> None:
    """Nothing heard is a WAV file of no length."""
    path = tmp_path / "talk.wav"
    with sound.Recording(path):
        pass
    assert read(path).seconds == 0


def test_a_bad_path_is_known_at_once(tmp_path: Path) -> None:
    """The file is made before anything is heard."""
    with pytest.raises(FileNotFoundError):
        sound.Recording(tmp_path / "absent" / "talk.wav")
