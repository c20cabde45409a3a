"""Signed 16-bit little-endian mono PCM, the only audio that travels inside."""

SAMPLE_RATE_HZ = 16_000
BYTES_PER_SAMPLE = 2
BYTES_PER_MS = SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000
INPUT_RATES_HZ = (8_000, 16_000, 24_000, 48_000)


def duration_ms(pcm: bytes, sample_rate_hz: int = SAMPLE_RATE_HZ) -> float:
    """How long `pcm` sounds, in ms."""
    return len(pcm) / BYTES_PER_SAMPLE * 1000 / sample_rate_hz


def silence(ms: float, sample_rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """Digital silence of `ms` ms."""
    return bytes(BYTES_PER_SAMPLE * round(ms * sample_rate_hz / 1000))
