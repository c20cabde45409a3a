"""Noise, clipping, echo and silence in the speaker's audio."""

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.quality import Issue, QualityChange, QualityMonitor

RNG = np.random.default_rng(1)


def voice(seconds: float, *, level: float = 0.1) -> Samples:
    """Syllables of coloured noise: no pitch, no period, a speech-like envelope."""
    count = int(seconds * SAMPLE_RATE_HZ) // FRAME_SAMPLES * FRAME_SAMPLES
    noise = np.convolve(RNG.normal(size=count), np.ones(4) / 4, mode="same")
    envelope = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * np.arange(count) / SAMPLE_RATE_HZ)
    return (level * noise * envelope).astype(np.float32)


def hear(monitor: QualityMonitor, samples: Samples, *, speech: float) -> list[QualityChange]:
    """Feed samples second by second."""
    changes = []
    samples = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
    step = SAMPLE_RATE_HZ // FRAME_SAMPLES * FRAME_SAMPLES
    for start in range(0, len(samples), step):
        part = samples[start : start + step]
        changes += monitor.hear(part, np.full(len(part) // FRAME_SAMPLES, speech, np.float32))
        changes += monitor.second_passed()
    return changes


def states(changes: list[QualityChange]) -> list[tuple[Issue, bool]]:
    """What changed to what."""
    return [(change.issue, change.active) for change in changes]


def noise(seconds: float, level: float) -> Samples:
    """White noise."""
    return (level * RNG.normal(size=int(seconds * SAMPLE_RATE_HZ))).astype(np.float32)


def test_good_speech_raises_nothing() -> None:
    """A clear voice over a quiet room is fine."""
    monitor = QualityMonitor()
    changes = hear(monitor, noise(2, 0.0005), speech=0.0) + hear(monitor, voice(8), speech=0.99)
    assert changes == []


def test_five_seconds_of_silence() -> None:
    """Silence is reported after 5 s, not after 4, and clears with the first sound."""
    monitor = QualityMonitor()
    assert hear(monitor, noise(4, 0.0005), speech=0.0) == []
    assert states(hear(monitor, noise(3, 0.0005), speech=0.0)) == [(Issue.SILENCE, True)]
    assert states(hear(monitor, voice(1), speech=0.9)) == [(Issue.SILENCE, False)]


def test_clipping_and_its_end() -> None:
    """More than 1 % of samples at full scale is clipping; it clears after 3 s without."""
    monitor = QualityMonitor()
    changes = hear(monitor, np.clip(voice(1, level=3.0), -1, 1), speech=0.9)
    assert states(changes) == [(Issue.CLIPPING, True)]
    assert changes[0].measurements["clipped_percent"] > 1
    assert hear(monitor, voice(2), speech=0.9) == []
    assert states(hear(monitor, voice(2), speech=0.9)) == [(Issue.CLIPPING, False)]


def test_noise_under_speech() -> None:
    """Speech 10 dB over the noise is reported with its measure, and clears at more than 22 dB."""
    monitor = QualityMonitor()
    room = float(np.sqrt(np.mean(np.square(voice(4))))) / 10 ** (10 / 20)
    noisy = voice(5)
    changes = hear(monitor, noise(2, room), speech=0.0)
    changes += hear(monitor, noisy + noise(9, room)[: len(noisy)], speech=0.99)
    assert states(changes) == [(Issue.SNR_LOW, True)]
    assert abs(changes[0].measurements["snr_db"] - 10) < 3
    changes = hear(monitor, noise(5, room / 100), speech=0.0) + hear(monitor, voice(5), speech=0.99)
    assert states(changes) == [(Issue.SNR_LOW, False)]


def test_echo_is_found_with_its_delay() -> None:
    """A copy 9 dB down after 150 ms is an echo; the same voice without it is none."""
    clean = voice(10)
    echoed = clean.copy()
    delay = int(0.15 * SAMPLE_RATE_HZ)
    echoed[delay:] += 10 ** (-9 / 20) * clean[:-delay]
    monitor = QualityMonitor()
    changes = hear(monitor, echoed, speech=0.99)
    assert states(changes) == [(Issue.ECHO, True)]
    assert abs(changes[0].measurements["delay_ms"] - 150) < 2
    assert abs(changes[0].measurements["echo_db"] + 9) < 3
    assert states(hear(monitor, voice(8), speech=0.99)) == [(Issue.ECHO, False)]
