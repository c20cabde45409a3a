"""Samples: rates, frames, buffer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.errors import InvalidAudioFormat
from transcription_svc.audio import FRAME_SAMPLES, Framer, PcmReader, SampleBuffer


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_every_rate_becomes_16_khz(rate: int) -> None:
    """A tone keeps its length and its pitch, however it is chunked."""
    tone = (0.5 * 32_767 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype("<i2").tobytes()
    reader = PcmReader(rate)
    step = rate // 10 * 2
    parts = [reader.read(tone[start : start + step]) for start in range(0, len(tone), step)]
    samples = np.concatenate([*parts, reader.flush()])
    assert abs(len(samples) - 16_000) <= 16
    spectrum = np.abs(np.fft.rfft(samples[4_000:12_000]))
    assert int(np.argmax(spectrum)) * 2 == 440


def test_half_a_sample_is_refused() -> None:
    """An odd number of bytes is no 16-bit audio."""
    with pytest.raises(InvalidAudioFormat, match="3 bytes"):
        PcmReader(16_000).read(b"abc")


def test_other_rates_are_refused() -> None:
    """44.1 kHz is not accepted."""
    with pytest.raises(InvalidAudioFormat, match="44100"):
        PcmReader(44_100)


@given(st.lists(st.integers(0, 1500), max_size=12))
def test_framer_neither_loses_nor_doubles(sizes: list[int]) -> None:
    """The frames together are what came in, filled up to a whole frame at the end."""
    framer = Framer()
    given_samples = np.arange(sum(sizes), dtype=np.float32)
    out = []
    position = 0
    for size in sizes:
        out.append(framer.push(given_samples[position : position + size]))
        position += size
        assert len(out[-1]) % FRAME_SAMPLES == 0
    out.append(framer.flush())
    joined = np.concatenate(out)
    assert len(joined) % FRAME_SAMPLES == 0
    assert np.array_equal(joined[: len(given_samples)], given_samples)
    assert not joined[len(given_samples) :].any()


def test_buffer_is_addressed_by_position_and_forgets() -> None:
    """Cuts use stream positions before and after forgetting; what is gone is left out."""
    buffer = SampleBuffer()
    for number in range(10):
        buffer.append(np.full(100, number, np.float32))
    assert list(buffer.cut(95, 105)) == [0] * 5 + [1] * 5
    buffer.forget_before(450)
    assert (buffer.start, buffer.end) == (400, 1000)
    assert list(buffer.cut(0, 401)) == [4]
    assert len(SampleBuffer().cut(0, 10)) == 0
