"""Good speech made bad on purpose: noise, clipping, echo, a cut wire, another voice, a wrong format. Pure.

Samples are 16 kHz mono float32, full scale 1.0; random numbers come from a generator that is handed in.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import soxr

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples

_FULL_SCALE = 32767.0
_WINDOW_S = 0.04
_ACTIVE_DB = -30.0
"""Frames this far under the loudest are no speech when the level of speech is measured."""


def speech_power(samples: Samples) -> float:
    """Mean square of the active part of speech: frames of 20 ms within 30 dB of the loudest."""
    size = SAMPLE_RATE_HZ // 50
    powers = (
        np.square(samples[: len(samples) // size * size], dtype=np.float64).reshape(-1, size).mean(axis=1)
    )
    return float(powers[powers >= powers.max() * 10 ** (_ACTIVE_DB / 10)].mean())


def white(count: int, random: np.random.Generator) -> Samples:
    """White noise of power 1."""
    return random.standard_normal(count, dtype=np.float32)


def pink(count: int, random: np.random.Generator) -> Samples:
    """Noise with as much power in each octave from 20 Hz, power 1: traffic, ventilation."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    spectrum /= np.sqrt(np.maximum(hz, 20.0))
    return _unit(np.fft.irfft(spectrum, count))


def babble(
    voices: Sequence[Samples], count: int, random: np.random.Generator, *, talkers: int = 6
) -> Samples:
    """Several people at once, power 1: voices backwards and out of step, so that no word is left."""
    total = np.zeros(count)
    for number in range(talkers):
        voice = voices[number % len(voices)][::-1]
        repeated = np.tile(voice, count // len(voice) + 2)
        start = int(random.integers(len(voice)))
        total += repeated[start : start + count] / np.sqrt(speech_power(voice))
    return _unit(total)


def hum(count: int, *, mains_hz: float = 50.0) -> Samples:
    """Mains hum with odd harmonics, power 1."""
    at = np.arange(count) / SAMPLE_RATE_HZ
    return _unit(sum((np.sin(2 * np.pi * mains_hz * k * at) / k for k in (1, 3, 5)), np.zeros(count)))


def music(count: int) -> Samples:
    """Chords of four harmonics each that change every half second, power 1."""
    at = np.arange(count) / SAMPLE_RATE_HZ
    chords = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6), (261.6, 329.6, 392.0))
    out = np.zeros(count)
    step = SAMPLE_RATE_HZ // 2
    for number, start in enumerate(range(0, count, step)):
        part = at[start : start + step]
        fade = np.exp(-3.0 * (part - part[0]))
        for root in chords[number % len(chords)]:
            out[start : start + step] += fade * sum(
                np.sin(2 * np.pi * root * k * part) / k for k in range(1, 5)
            )
    return _unit(out)


def with_noise(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """`noise` (power 1) under speech, that far below the level of its active part."""
    gain = np.sqrt(speech_power(samples) / 10 ** (snr_db / 10))
    return _float(samples + gain * noise[: len(samples)])


def clipped(samples: Samples, percent: float) -> Samples:
    """Amplified until `percent` of the samples reach full scale, and cut there."""
    threshold = float(np.quantile(np.abs(samples), 1.0 - percent / 100.0))
    return _float(np.clip(samples / max(threshold, 1e-9), -1.0, 1.0))


def echoed(samples: Samples, *, delay_ms: float, level_db: float) -> Samples:
    """A delayed copy on top: a loudspeaker that the microphone hears."""
    delay = round(delay_ms * SAMPLE_RATE_HZ / 1000)
    out = samples.astype(np.float64)
    out[delay:] += 10 ** (level_db / 20) * samples[:-delay]
    return _float(out / max(1.0, float(np.abs(out).max())))


def reverberant(
    samples: Samples, random: np.random.Generator, *, decay_s: float, direct_db: float
) -> Samples:
    """A room: noise that dies away by 60 dB in `decay_s`, the direct sound that much above it."""
    count = int(decay_s * SAMPLE_RATE_HZ)
    tail = random.standard_normal(count) * 10 ** (-3.0 * np.arange(count) / count)
    tail[: SAMPLE_RATE_HZ // 500] = 0.0
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(np.square(tail)))
    tail[0] = 1.0
    size = 1 << (len(samples) + count).bit_length()
    out = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    return _float(out / max(1.0, float(np.abs(out).max())))


def telephone(samples: Samples) -> Samples:
    """8 kHz µ-law and back: what a call sounds like."""
    narrow = np.clip(soxr.resample(samples, SAMPLE_RATE_HZ, 8_000), -1.0, 1.0)
    coded = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    decoded = np.sign(coded) * (np.exp(np.abs(coded) * np.log(256)) - 1) / 255
    return _float(soxr.resample(decoded.astype(np.float32), 8_000, SAMPLE_RATE_HZ))


def faster(samples: Samples, times: float) -> Samples:
    """The same voice at another pace: overlapped pieces, each laid where it fits best (WSOLA)."""
    size = int(_WINDOW_S * SAMPLE_RATE_HZ)
    half = size // 2
    window = np.hanning(size + 1)[:size]
    padded = np.concatenate((np.zeros(half), samples.astype(np.float64), np.zeros(3 * size)))
    count = int(len(samples) / times / half)
    out = np.zeros((count + 2) * half)
    natural = padded[:size]
    for number in range(count):
        ideal = int(number * half * times)
        first = max(0, ideal - half // 2)
        region = padded[first : ideal + half // 2 + size]
        # where the piece that would have followed the last one fits best
        fit = np.correlate(region, natural, mode="valid")
        at = first + int(np.argmax(fit))
        out[number * half : number * half + size] += window * padded[at : at + size]
        natural = padded[at + half : at + half + size]
    return _float(out[half : half + int(len(samples) / times)])


def higher(samples: Samples, semitones: float) -> Samples:
    """The same pace at another pitch: stretched, then played faster."""
    ratio = 2 ** (semitones / 12)
    slow = faster(samples, 1 / ratio)
    return _float(soxr.resample(slow, SAMPLE_RATE_HZ * ratio, SAMPLE_RATE_HZ))


def louder(samples: Samples, gain_db: float) -> Samples:
    """Amplified, and kept within full scale as a sound card would."""
    return _float(np.clip(samples * 10 ** (gain_db / 20), -1.0, 1.0))


def pcm16(samples: Samples) -> bytes:
    """Signed 16-bit little-endian, the format asked for."""
    return bytes(_integers(samples, _FULL_SCALE).astype("<i2").tobytes())


def misformatted(samples: Samples, random: np.random.Generator) -> dict[str, bytes]:
    """The same sound in the formats that people send by mistake, by name."""
    noise = random.standard_normal(len(samples)) / _FULL_SCALE / 2
    wide = _integers(samples + noise, 2**23 - 1).astype("<i4")
    left, right = samples, np.roll(samples, 3) * np.float32(0.8)
    return {
        "unsigned 8-bit": (_integers(samples, 127.0) + 128).astype(np.uint8).tobytes(),
        "signed 8-bit": _integers(samples, 127.0).astype(np.int8).tobytes(),
        "mu-law": _mu_law(samples),
        "24-bit": wide.view(np.uint8).reshape(-1, 4)[:, :3].tobytes(),
        "32-bit integer": (wide.astype("<i4") * 256).astype("<i4").tobytes(),
        "32-bit integer from 16": (_integers(samples, _FULL_SCALE).astype("<i4") * 65_536)
        .astype("<i4")
        .tobytes(),
        "32-bit float": samples.astype("<f4").tobytes(),
        "64-bit float": samples.astype("<f8").tobytes(),
        "stereo, both alike": pcm16(np.repeat(samples, 2)),
        "stereo, two microphones": pcm16(np.stack((left, right), axis=1).reshape(-1)),
        "stereo, one side empty": pcm16(np.stack((left, np.zeros_like(left)), axis=1).reshape(-1)),
        "big-endian": _integers(samples, _FULL_SCALE).astype(">i2").tobytes(),
    }


def _mu_law(samples: Samples) -> bytes:
    magnitude = np.minimum(np.abs(_integers(samples, _FULL_SCALE)).astype(np.int32) + 132, 32767)
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    return bytes((~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes())


def _integers(samples: npt.NDArray[np.floating], scale: float) -> npt.NDArray[np.float64]:
    return np.round(np.clip(samples.astype(np.float64), -1.0, 1.0) * scale)


def _unit(noise: npt.NDArray[np.float64]) -> Samples:
    return _float(noise / np.sqrt(np.mean(np.square(noise))))


def _float(samples: npt.NDArray[np.floating]) -> Samples:
    return samples.astype(np.float32)
