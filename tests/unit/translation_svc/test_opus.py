"""Ogg Opus clips."""

import io

import av
import numpy as np
import pytest

from translation_svc.opus import encode
from translation_svc.segments import Clip


@pytest.mark.parametrize("seconds", [0.05, 1.0, 2.345])
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
    assert len(sound) / 48_000 == pytest.approx(seconds, abs=0.025)
    if seconds >= 1:
        assert len(encoded) < len(pcm) / 5
        assert np.abs(np.fft.rfft(sound[4_800:43_200])).argmax() * 48_000 / 38_400 == pytest.approx(
            440, abs=3
        )


def test_nothing_gives_nothing() -> None:
    """An empty clip is an empty file."""
    assert encode(Clip(b"", 16_000)) == b""
