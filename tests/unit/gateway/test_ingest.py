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


def chunks(data: bytes, size: int = 3_200) -> list[bytes]:
    """Pieces as a client sends them."""
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_no_sample_is_lost_or_bent_on_the_way(rate_hz: int) -> None:
    """Twenty seconds in uneven chunks: their number after the flush is right, a tone 60 dB over all else."""
    ingest = Ingest()
    whole = tone(rate_hz, 20, frequency_hz=1_000)
    sizes = np.random.default_rng(1).integers(50, 4_000, size=2_000) * 2
    out, at = b"", 0
    for size in sizes.tolist():
        piece = whole[at : at + size]
        if len(piece) < MIN_CHUNK_BYTES:
            break
        out += ingest.accept(piece, sample_rate_hz=rate_hz, volume=1.0)
        at += size
    sent_s = min(at, len(whole)) / 2 / rate_hz
    out += ingest.flush(volume=1.0)
    samples = np.frombuffer(out, "<i2").astype(float)
    assert abs(len(samples) - 16_000 * sent_s) <= 2
    middle = samples[16_000:32_000] * np.hanning(16_000)
    spectrum = np.square(np.abs(np.fft.rfft(middle)))
    tone_power = spectrum[990:1_011].sum()
    assert spectrum.sum() - tone_power < tone_power * 1e-6


def test_what_lies_above_8_khz_does_not_fold_back() -> None:
    """A tone of 11 kHz at 48 kHz is gone at 16 kHz, and not heard as one of 5 kHz."""
    ingest = Ingest()
    whole = tone(48_000, 1, frequency_hz=11_000)
    out = b"".join(ingest.accept(c, sample_rate_hz=48_000, volume=1.0) for c in chunks(whole))
    assert np.abs(np.frombuffer(out, "<i2")[500:-500].astype(int)).max() < 20


def test_there_is_nothing_to_flush_at_sixteen_kilohertz() -> None:
    """Without a resampler nothing is held back; a muted rest is silent."""
    ingest = Ingest()
    ingest.accept(tone(16_000, 0.1), sample_rate_hz=None, volume=1.0)
    assert ingest.flush(volume=1.0) == b""
    other = Ingest()
    other.accept(tone(8_000, 0.1), sample_rate_hz=8_000, volume=1.0)
    assert not any(other.flush(volume=0.0))
    assert any(other.accept(tone(8_000, 1), sample_rate_hz=None, volume=1.0))


def test_a_header_is_refused_and_its_samples_taken() -> None:
    """The first chunk of a WAV file is named; what follows is PCM."""
    ingest = Ingest()
    header = (
        b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x44\xac\x00\x00"
        + bytes(6)
        + b"\x10\x00"
    )
    with pytest.raises(InvalidAudioFormat, match=r"WAV file.*44100 samples a second, 2 channel.*s16le"):
        ingest.accept(header + bytes(200), sample_rate_hz=None, volume=1.0)
    chunk = tone(16_000, 0.1)
    assert ingest.accept(chunk, sample_rate_hz=None, volume=1.0) is chunk


def test_a_file_stays_refused_until_samples_come() -> None:
    """WebM is named at once and for as long as nothing better comes."""
    ingest = Ingest()
    random = np.random.default_rng(1)
    with pytest.raises(InvalidAudioFormat, match="WebM"):
        ingest.accept(b"\x1a\x45\xdf\xa3" + random.bytes(996), sample_rate_hz=None, volume=1.0)
    refused = 0
    for chunk in chunks(random.bytes(96_000)):
        try:
            ingest.accept(chunk, sample_rate_hz=None, volume=1.0)
        except InvalidAudioFormat as error:
            refused += 1
            assert error.details["found"]
    assert refused == 30
    good = chunks(tone(16_000, 4))
    assert sum(_taken(ingest, chunk) for chunk in good) >= len(good) - 10


def test_wrong_samples_are_refused_within_a_second() -> None:
    """Big-endian samples pass for less than a second, silence before them aside."""
    ingest = Ingest()
    sound = np.frombuffer(tone(16_000, 3), "<i2").astype(">i2").tobytes()
    data = bytes(64_000) + sound
    taken = [_taken(ingest, chunk) for chunk in chunks(data)]
    assert taken[:20] == [True] * 20
    assert taken.index(False) <= 30
    assert not any(taken[30:])


def test_a_stream_that_was_right_is_trusted() -> None:
    """After three good seconds nothing is suspect any more."""
    ingest = Ingest()
    assert all(_taken(ingest, chunk) for chunk in chunks(tone(16_000, 4)))
    swapped = np.frombuffer(tone(16_000, 3), "<i2").astype(">i2").tobytes()
    assert all(_taken(ingest, chunk) for chunk in chunks(swapped))


def _taken(ingest: Ingest, chunk: bytes) -> bool:
    try:
        ingest.accept(chunk, sample_rate_hz=None, volume=1.0)
    except InvalidAudioFormat:
        return False
    return True
