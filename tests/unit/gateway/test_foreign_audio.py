"""What is not the audio that was asked for is found out and named; what is, never."""

from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from babelcast import wav
from babelcast.pcm import INPUT_RATES_HZ, SAMPLE_RATE_HZ
from bench import degrade
from bench.detectors_formats import encoded, right, seconds
from gateway.foreign_audio import recognise, suspect
from transcription_svc.audio import PcmReader, Samples


@pytest.fixture(scope="module")
def speech(jfk_wav: Path) -> Samples:
    """Recorded speech."""
    return PcmReader(SAMPLE_RATE_HZ).read(wav.read(jfk_wav).pcm)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unsigned 8-bit", "unsigned 8-bit"),
        ("signed 8-bit", "signed 8-bit"),
        ("mu-law", "mu-law"),
        ("24-bit", "24-bit"),
        ("32-bit integer", "32-bit integer"),
        ("32-bit integer from 16", "32-bit"),
        ("32-bit float", "32-bit floating point"),
        ("64-bit float", "64-bit floating point"),
        ("stereo, both alike", "stereo"),
        ("stereo, two microphones", "stereo"),
        ("stereo, one side empty", "stereo"),
        ("big-endian", "big-endian"),
    ],
)
def test_wrong_samples_are_named(speech: Samples, name: str, words: str) -> None:
    """One of the first three seconds of sound tells, and none tells wrong."""
    data = degrade.misformatted(speech, np.random.default_rng(1))[name]
    found = [suspect(window) for window in seconds(data, SAMPLE_RATE_HZ)][:3]
    assert any(found)
    assert all(words in verdict for verdict in found if verdict)


def test_sound_in_the_right_format_is_never_suspect(speech: Samples) -> None:
    """Speech at all rates, soft, clipped, in noise and over the telephone; noise, music, tones, sibilants."""
    for name, sound in right(speech, np.random.default_rng(1)):
        for rate_hz in INPUT_RATES_HZ:
            pcm = degrade.pcm16(soxr.resample(sound, SAMPLE_RATE_HZ, rate_hz))
            for window in seconds(pcm, rate_hz):
                assert (name, recognise(window), suspect(window)) == (name, None, None)


@given(st.integers(0, 2**32), st.integers(1, 30_000), st.integers(0, 30_000))
def test_noise_and_offsets_are_never_suspect(seed: int, level: int, offset: int) -> None:
    """Noise of any level, on any direct current."""
    noise = np.random.default_rng(seed).normal(scale=level / 3, size=16_000) + offset
    assert suspect(np.clip(noise, -32768, 32767).astype("<i2").tobytes()) is None


@pytest.mark.parametrize(
    ("container", "codec", "words"),
    [
        ("webm", "libopus", "WebM"),
        ("ogg", "libopus", "Ogg"),
        ("mp3", "libmp3lame", "MP3"),
        ("adts", "aac", "AAC"),
        ("flac", "flac", "FLAC"),
        ("wav", "pcm_s16le", "48000 samples a second, 1 channel"),
    ],
)
def test_files_are_known_by_their_beginning(speech: Samples, container: str, codec: str, words: str) -> None:
    """The first chunk of a file says what it is."""
    verdict = recognise(encoded(speech[:32_000], container, codec, 48_000)[:3200])
    assert verdict is not None
    assert words in verdict


def test_compressed_audio_is_known_from_the_middle(speech: Samples) -> None:
    """A client that goes on sending after the refusal is refused for what it sends."""
    data = encoded(speech, "ogg", "libopus", 48_000)
    assert suspect(data[5_000:37_000]) == "compressed audio"


def test_text_is_named() -> None:
    """JSON in a binary frame, and base64 in base64."""
    assert recognise(b'{"action": "sendAudio", "audioData": "AAAA"}') == "JSON"
    assert "base64" in (recognise(b"UklGRiQAAABXQVZF" * 10) or "")


@pytest.mark.parametrize(
    "first", [b"", b"\xff\xfb", b"\xff\xfb\x90\x64" + bytes(100), b"RIFFabcdWAVE", bytes(8)]
)
def test_stumps_do_no_harm(first: bytes) -> None:
    """A beginning without its rest is named by what is there, or not at all."""
    assert recognise(first) in (None, "a WAV file with its header")


@given(st.binary(max_size=400))
def test_any_beginning_is_survived(first: bytes) -> None:
    """Whatever comes, there is an answer."""
    recognise(first)
