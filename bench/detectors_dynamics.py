"""What is said of speech that was made louder, faster or higher than its speaker's usual."""

import ctypes
from collections import Counter
from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

import espeakng_loader
import numpy as np
import soxr

from babelcast.pcm import SAMPLE_RATE_HZ
from bench import degrade
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.dynamics import Baseline, Dynamics, FrameTrack, Measures, measure, pitches
from transcription_svc.vad import SileroDetector
from translation_svc.voices.espeak_worker import Espeak

PIECE = 4 * SAMPLE_RATE_HZ // FRAME_SAMPLES * FRAME_SAMPLES
Change = Callable[[Samples], Samples]

CHANGES: dict[str, Change] = {
    "as it is": lambda s: s,
    "6 dB louder": lambda s: degrade.louder(s, 6),
    "12 dB louder": lambda s: degrade.louder(s, 12),
    "6 dB softer": lambda s: degrade.louder(s, -6),
    "12 dB softer": lambda s: degrade.louder(s, -12),
    "1.2 times faster": lambda s: degrade.faster(s, 1.2),
    "1.4 times faster": lambda s: degrade.faster(s, 1.4),
    "1.25 times slower": lambda s: degrade.faster(s, 0.8),
    "3 semitones higher": lambda s: degrade.higher(s, 3),
    "6 semitones higher": lambda s: degrade.higher(s, 6),
    "6 dB, 3 semitones, 1.2 times": lambda s: degrade.faster(degrade.higher(degrade.louder(s, 6), 3), 1.2),
    "12 dB, 6 semitones, 1.2 times": lambda s: degrade.faster(degrade.higher(degrade.louder(s, 12), 6), 1.2),
    "-6 dB, -3 semitones, 0.8 times": lambda s: degrade.faster(
        degrade.higher(degrade.louder(s, -6), -3), 0.8
    ),
}
SENTENCES = (
    "We have come to talk about the harvest of this year.",
    "The trains will leave from the second platform after noon.",
    "Nobody knew how long the meeting was going to last.",
    "There are three questions that I would like to answer.",
)


class Gauge:
    """Measures pieces of sound as a stream does."""

    def __init__(self) -> None:
        self._detector = SileroDetector()

    def measure(self, samples: Samples, text: str) -> Measures | None:
        """A piece of sound with what is said in it."""
        whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
        track = FrameTrack()
        track.hear(whole, self._detector.track().probabilities(whole))
        speech = track.unmeasured()
        if speech is not None:
            track.take(pitches(speech))
        return measure(track.between(0, len(whole)), text)


def text_of(gauge: Gauge, piece: Samples) -> str:
    """As many syllables as people say in the time that is spoken."""
    found = gauge.measure(piece, "")
    return "ba " * round(4.5 * found.speech_s) if found is not None else ""


def run(talks: Mapping[str, Samples]) -> None:
    """Print what was said of each change, and of a synthetic voice."""
    gauge = Gauge()
    told: dict[str, list[Dynamics]] = {name: [] for name in CHANGES}
    for samples in talks.values():
        pieces = [samples[at : at + PIECE] for at in range(0, len(samples) - PIECE + 1, PIECE)]
        texts = [text_of(gauge, piece) for piece in pieces]
        for number, piece in enumerate(pieces):
            if number == 0 or not texts[number]:
                continue
            for name, change in CHANGES.items():
                baseline = Baseline(ttl_s=60)
                for earlier, text in zip(pieces[:number], texts[:number], strict=True):
                    _say(baseline, gauge.measure(earlier, text))
                found = _say(baseline, gauge.measure(change(piece), texts[number]))
                if found is not None:
                    told[name].append(found)
    _print("recorded speech", told)
    _print("synthetic voice", synthetic(gauge))


def synthetic(gauge: Gauge) -> dict[str, list[Dynamics]]:
    """espeak-ng as usual, then with its own prosody: flatter, livelier, louder, faster."""
    voice = Espeak(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
    set_parameter: Callable[[int, int, int], int] = ctypes.CDLL(
        espeakng_loader.get_library_path()
    ).espeak_SetParameter
    rate, volume, pitch, span = 1, 2, 3, 4
    usual = {rate: 160, volume: 50, pitch: 50, span: 50}
    settings = {
        "as it is": {},
        "flat": {span: 0},
        "lively": {span: 100},
        "loud": {volume: 150},
        "fast": {rate: 230},
        "loud, high, lively, fast": {volume: 150, pitch: 85, span: 100, rate: 200},
        "soft, low, flat, slow": {volume: 20, pitch: 25, span: 0, rate: 125},
    }

    def speak(text: str, changed: Mapping[int, int]) -> Samples:
        for parameter, value in (usual | dict(changed)).items():
            set_parameter(parameter, value, 0)
        pcm = voice.speak(escape(text), "en-us")
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        return np.asarray(soxr.resample(samples, voice.sample_rate_hz, SAMPLE_RATE_HZ), np.float32)

    told: dict[str, list[Dynamics]] = {name: [] for name in settings}
    for name, changed in settings.items():
        for text in SENTENCES:
            baseline = Baseline(ttl_s=60)
            for other in SENTENCES:
                _say(baseline, gauge.measure(speak(other, {}), other))
            found = _say(baseline, gauge.measure(speak(text, changed), text))
            if found is not None:
                told[name].append(found)
    return told


def _say(baseline: Baseline, found: Measures | None) -> Dynamics | None:
    return baseline.describe(found, start=0, end=0, emotion=True) if found is not None else None


def _print(title: str, told: Mapping[str, list[Dynamics]]) -> None:
    print(f"\n| {title} | pieces | volume, dB | rate | intensity | emotions |")
    print("| --- " * 6 + "|")
    for name, found in told.items():
        volume, rate, intensity = (
            np.median([getattr(each, what) for each in found]) for what in ("volume_db", "rate", "intensity")
        )
        emotions = Counter(each.emotion for each in found)
        shares = ", ".join(f"{what} {100 * n / len(found):.0f} %" for what, n in emotions.most_common())
        print(f"| {name} | {len(found)} | {volume:+.1f} | {rate:.2f} | {intensity:.2f} | {shares} |")
