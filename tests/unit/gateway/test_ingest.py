"""The speaker's chunks on their way in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.errors import AudioChunkTooLarge, InvalidAudioFormat
from gateway.ingest import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Ingest


def tone(rate_hz: int, seconds: float, *, frequency_hz: float = 440) -> bytes:
    """A sine at half of full scale."""
    at = np.arange(round(rate_hz * seconds)) / rate_hz
    return (16_000 * np.sin(2 * np.pi * frequency_hz * at)).astype("<i2").tobytes()


def test_sixteen_kilohertz_pass_untouched() -> None:
    """At full volume the bytes are the same."""
    chunk = tone(16_000, 0.1)
    assert Ingest().accept(chunk, sample_rate_hz=None, volume=1.0) is chunk


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_other_rates_become_sixteen_kilohertz(rate_hz: int) -> None:
    """Two seconds in chunks come out as two seconds of the same tone, the rate being declared once."""
    ingest = Ingest()
    whole = tone(rate_hz, 2)
    size = rate_hz // 10 * 2
    out = b"".join(
        ingest.accept(whole[at : at + size], sample_rate_hz=rate_hz if at == 0 else None, volume=1.0)
        for at in range(0, len(whole), size)
    )
    samples = np.frombuffer(out, "<i2").astype(float)
    assert abs(len(samples) - 32_000) < 1_600
    spectrum = np.abs(np.fft.rfft(samples[8_000:24_000]))
    assert int(np.argmax(spectrum)) == 440
    assert 15_000 < np.abs(samples[8_000:24_000]).max() < 17_000


@given(st.floats(0, 1), st.binary(min_size=MIN_CHUNK_BYTES, max_size=400).filter(lambda b: len(b) % 2 == 0))
def test_volume_scales_every_sample(volume: float, chunk: bytes) -> None:
    """No sample gets louder or changes its sign, and 0 is silence."""
    out = np.frombuffer(Ingest().accept(chunk, sample_rate_hz=16_000, volume=volume), "<i2").astype(int)
    before = np.frombuffer(chunk, "<i2").astype(int)
    assert np.all(np.abs(out) <= np.abs(before))
    assert np.all(np.abs(out - before * volume) <= 1)


@pytest.mark.parametrize(
    ("size", "error"),
    [
        (0, InvalidAudioFormat),
        (MIN_CHUNK_BYTES - 2, InvalidAudioFormat),
        (MIN_CHUNK_BYTES + 1, InvalidAudioFormat),
        (MAX_CHUNK_BYTES + 2, AudioChunkTooLarge),
    ],
)
def test_sizes_that_no_chunk_has(size: int, error: type[Exception]) -> None:
    """Too short, odd or too long is refused; both limits themselves are good."""
    ingest = Ingest()
    with pytest.raises(error):
        ingest.accept(bytes(size), sample_rate_hz=None, volume=1.0)
    for good in (MIN_CHUNK_BYTES, MAX_CHUNK_BYTES):
        assert len(ingest.accept(bytes(good), sample_rate_hz=None, volume=1.0)) == good


@pytest.mark.parametrize("rate_hz", [-1, 1, 11_025, 44_100, 96_000])
def test_rates_that_are_not_taken(rate_hz: int) -> None:
    """The refusal names the field, and a good rate may follow."""
    ingest = Ingest()
    with pytest.raises(InvalidAudioFormat) as refused:
        ingest.accept(bytes(200), sample_rate_hz=rate_hz, volume=1.0)
    assert refused.value.details["parameter"] == "sampleRate"
    ingest.accept(bytes(200), sample_rate_hz=48_000, volume=1.0)


def test_the_rate_stays() -> None:
    """Another rate in the middle of a talk is refused; the same one again is fine."""
    ingest = Ingest()
    ingest.accept(bytes(200), sample_rate_hz=8_000, volume=1.0)
    ingest.accept(bytes(200), sample_rate_hz=8_000, volume=1.0)
    with pytest.raises(InvalidAudioFormat):
        ingest.accept(bytes(200), sample_rate_hz=16_000, volume=1.0)
