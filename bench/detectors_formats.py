"""How surely wrong formats are told from right ones, on a folder of speech."""

import io
import time
from collections import Counter
from collections.abc import Iterator, Mapping

import av
import numpy as np
import soxr

from babelcast.pcm import INPUT_RATES_HZ, SAMPLE_RATE_HZ
from bench import degrade
from gateway.foreign_audio import recognise, suspect
from transcription_svc.audio import Samples

_CONTAINERS = {
    "webm, Opus": ("webm", "libopus", 48_000),
    "ogg, Opus": ("ogg", "libopus", 48_000),
    "mp3": ("mp3", "libmp3lame", 48_000),
    "aac": ("adts", "aac", 48_000),
    "flac": ("flac", "flac", 48_000),
    "wav": ("wav", "pcm_s16le", 48_000),
}


def encoded(samples: Samples, container: str, codec: str, rate_hz: int) -> bytes:
    """A file of the sound."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate_hz)
        assert isinstance(stream, av.AudioStream)  # noqa: S101 - the codecs are all of sound
        stream.layout = "mono"
        sound = soxr.resample(samples, SAMPLE_RATE_HZ, rate_hz)
        pcm = np.frombuffer(degrade.pcm16(sound), np.int16)[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = rate_hz
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate_hz)
        for part in resampler.resample(frame):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return out.getvalue()


def seconds(data: bytes, rate_hz: int) -> Iterator[bytes]:
    """Windows of a second as the gateway would look at them, without silence."""
    size = 2 * rate_hz
    for at in range(0, len(data) - size + 1, size):
        window = data[at : at + size]
        if np.abs(np.frombuffer(window, "<i2").astype(np.float64)).mean() > 30:
            yield window


def right(samples: Samples, random: np.random.Generator) -> Iterator[tuple[str, Samples]]:
    """Sound in the right format that could look wrong."""
    count = len(samples)
    at = np.arange(count) / SAMPLE_RATE_HZ
    yield "speech", samples
    yield "telephone", degrade.telephone(samples)
    yield "40 dB softer", degrade.louder(samples, -40)
    yield "clipped", degrade.clipped(samples, 20)
    yield "white noise", np.float32(0.2) * degrade.white(count, random)
    yield "loud white noise", np.clip(np.float32(0.6) * degrade.white(count, random), -1, 1)
    yield "speech in noise", degrade.with_noise(samples, degrade.white(count, random), 0)
    yield "music", np.float32(0.1) * degrade.music(count)
    for hz in (50, 1000, 2000, 4000, 6000, 7900):
        yield f"tone of {hz} Hz", (0.3 * np.sin(2 * np.pi * hz * at + 0.4)).astype(np.float32)
    yield "sibilants", np.diff(samples, prepend=samples[:1])


def run(talks: Mapping[str, Samples]) -> None:
    """Print what each format was taken for, by seconds, and the false alarms."""
    random = np.random.default_rng(3)
    told: dict[str, Counter[str]] = {}
    looks, spent_s = 0, 0.0
    for samples in talks.values():
        for name, data in degrade.misformatted(samples, random).items():
            found = told.setdefault(name, Counter())
            found.update(str(suspect(window)) for window in seconds(data, SAMPLE_RATE_HZ))
        for name, how in _CONTAINERS.items():
            data = encoded(samples, *how)
            told.setdefault(name, Counter()).update([f"at once: {recognise(data[:3200])}"])
            found = told.setdefault(f"{name}, from the middle", Counter())
            found.update(str(suspect(window)) for window in seconds(data[4096:], SAMPLE_RATE_HZ))
        for name, sound in right(samples, random):
            for rate_hz in INPUT_RATES_HZ:
                pcm = degrade.pcm16(soxr.resample(sound, SAMPLE_RATE_HZ, rate_hz))
                for window in seconds(pcm, rate_hz):
                    began = time.process_time()
                    verdict = str(recognise(window[:3200]) or suspect(window))
                    spent_s += time.process_time() - began
                    looks += 1
                    told.setdefault(f"right: {name}", Counter()).update([verdict])
    print("| sent | taken for (windows of a second) |\n| --- | --- |")
    for name, found in told.items():
        print(f"| {name} | {', '.join(f'{what} {count}' for what, count in found.most_common())} |")
    print(f"{looks} looks at right formats, {1000 * spent_s / looks:.1f} ms each")
