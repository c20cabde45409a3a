"""Ogg Opus clips."""

import io
import struct

import av
import numpy as np
import pytest

from translation_svc.opus import encode
from translation_svc.segments import Clip


@pytest.mark.parametrize("seconds", [0.02, 0.05, 1.0, 1.0037, 2.345, 7.0])
def test_a_clip_decodes_to_what_it_was(seconds: float) -> None:
    """Length, pitch and level survive, at a tenth of the size."""
    times = np.arange(int(16_000 * seconds)) / 16_000
    pcm = (8_000 * np.sin(2 * np.pi * 440 * times)).astype("<i2").tobytes()
    encoded = encode(Clip(pcm, 16_000))
    assert encoded.startswith(b"OggS")
    with av.open(io.BytesIO(encoded), mode="r") as container:
        assert container.streams.audio[0].codec_context.name == "opus"
        frames = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
    sound = np.concatenate(frames).astype(np.float64)
    assert len(sound) / 48_000 == pytest.approx(seconds, abs=0.010)
    if seconds >= 1:
        assert len(encoded) < len(pcm) / 5
        assert np.abs(np.fft.rfft(sound[4_800:43_200])).argmax() * 48_000 / 38_400 == pytest.approx(
            440, abs=3
        )


def test_nothing_gives_nothing() -> None:
    """An empty clip is an empty file."""
    assert encode(Clip(b"", 16_000)) == b""


def test_the_file_says_itself_how_long_it_is() -> None:
    """RFC 7845: what the coder adds in front is the pre-skip, which the granule position of the last page
    counts too; so a player plays neither the one nor the filling of the last packet.
    """
    encoded = encode(Clip(b"\1\0" * 20_011, 16_000))
    head = encoded.index(b"OpusHead")
    version, channels, pre_skip, rate_hz = struct.unpack_from("<BBHI", encoded, head + 8)
    assert (version, channels, rate_hz) == (1, 1, 16_000)
    assert 0 < pre_skip <= 3_840
    (granule,) = struct.unpack_from("<q", encoded, encoded.rindex(b"OggS") + 6)
    assert granule - pre_skip == 3 * 20_011
    assert encoded[encoded.rindex(b"OggS") + 5] & 4  # the end of the stream


def test_no_click_at_the_ends() -> None:
    """A clip that begins and ends in silence does so when it is decoded."""
    times = np.arange(16_000) / 16_000
    tone = 8_000 * np.sin(2 * np.pi * 440 * times) * np.hanning(16_000)
    encoded = encode(Clip(tone.astype("<i2").tobytes(), 16_000))
    with av.open(io.BytesIO(encoded), mode="r") as container:
        sound = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    assert np.abs(sound[:240]).max() < 0.005
    assert np.abs(sound[-240:]).max() < 0.005
