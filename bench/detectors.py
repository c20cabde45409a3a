"""How often the detectors of bad sound are right: `python -m bench.detectors FOLDER`.

Every recording of a folder of speech is made bad on purpose in known ways, and the warnings are counted.
`--dynamics` tells emotions on processed speech instead, `--formats` the recognition of wrong formats.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import soxr

from babelcast import wav
from babelcast.pcm import SAMPLE_RATE_HZ
from bench import degrade, detectors_dynamics, detectors_formats
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.quality import Issue, QualityMonitor, QualityPolicy, judge
from transcription_svc.vad import SileroDetector

CHUNK = 3 * FRAME_SAMPLES
TALK_S = 16
SNRS_DB = (0, 5, 10, 15, 18, 22, 25, 30)
CLIPPED_PERCENT = (0.02, 0.1, 0.3, 1, 5)
ECHO_MS = (10, 50, 150, 500)
ECHO_DB = (-20, -18, -12, -6, -3)

Degrade = Callable[[Samples], Samples]


@dataclass(slots=True)
class Heard:
    """What the monitor said of one talk."""

    seconds: float
    warnings: dict[Issue, list[float]] = field(default_factory=dict)
    """When each issue was raised, s."""
    details: dict[Issue, Mapping[str, float]] = field(default_factory=dict)


def read_talks(folder: Path) -> dict[str, Samples]:
    """The first 16 s of every WAV file of a folder, at 16 kHz, short ones repeated."""
    talks = {}
    for path in sorted(folder.glob("*.wav")):
        sound = wav.read(path)
        samples = np.frombuffer(sound.pcm, "<i2").astype(np.float32) / np.float32(32768)
        samples = soxr.resample(samples, sound.sample_rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
        count = TALK_S * SAMPLE_RATE_HZ
        talks[path.stem] = np.tile(samples, -(-count // len(samples)))[:count]
    return talks


class Bench:
    """The monitor behind the real voice detector; counts its own CPU."""

    def __init__(self) -> None:
        self._detector = SileroDetector()
        self.cpu_s = 0.0
        self.audio_s = 0.0

    def hear(self, samples: Samples, policy: QualityPolicy | None = None) -> Heard:
        """Feed a talk as a stream does."""
        whole = samples[: len(samples) // CHUNK * CHUNK]
        speech = self._detector.track().probabilities(whole)
        monitor = QualityMonitor(policy)
        heard = Heard(len(whole) / SAMPLE_RATE_HZ)
        looked = 0
        began = time.process_time()
        for at in range(0, len(whole), CHUNK):
            frame = at // FRAME_SAMPLES
            changes = monitor.hear(whole[at : at + CHUNK], speech[frame : frame + CHUNK // FRAME_SAMPLES])
            if at + CHUNK - looked >= SAMPLE_RATE_HZ:
                looked = at + CHUNK
                look = monitor.look()
                changes += monitor.take(judge(look)) if look is not None else []
            for change in changes:
                if change.active:
                    heard.warnings.setdefault(change.issue, []).append(at / SAMPLE_RATE_HZ)
                    heard.details.setdefault(change.issue, change.measurements)
        self.cpu_s += time.process_time() - began
        self.audio_s += heard.seconds
        return heard


def cases(talks: Mapping[str, Samples]) -> Iterator[tuple[str, Issue | None, Degrade]]:
    """Name, the issue that is there (None: none), and how to make it."""
    voices = list(talks.values())
    random = np.random.default_rng(7)
    yield "as recorded", None, lambda s: s
    yield "up to full scale", None, lambda s: s / np.float32(np.abs(s).max())
    yield "telephone, 8 kHz mu-law", None, degrade.telephone
    yield (
        "a pause of 4 s",
        None,
        lambda s: np.insert(s, len(s) // 2, np.zeros(4 * SAMPLE_RATE_HZ, np.float32)),
    )
    yield "20 dB softer", None, lambda s: degrade.louder(s, -20)
    yield "room, 0.3 s", None, lambda s: degrade.reverberant(s, random, decay_s=0.3, direct_db=6)
    yield "music alone", None, lambda s: np.float32(0.1) * degrade.music(len(s))
    yield "music 25 dB under", None, lambda s: degrade.with_noise(s, degrade.music(len(s)), 25)
    kinds: dict[str, Degrade] = {
        "white": lambda s: degrade.white(len(s), random),
        "pink": lambda s: degrade.pink(len(s), random),
        "babble": lambda s: degrade.babble(voices, len(s), random),
    }
    for kind, noise in kinds.items():
        for snr in SNRS_DB:
            issue = Issue.SNR_LOW if snr < 20 else None
            yield f"{kind} noise, {snr} dB", issue, partial(_noisy, noise=noise, snr_db=snr)
    for percent in CLIPPED_PERCENT:
        yield f"clipped, {percent} %", Issue.CLIPPING, partial(degrade.clipped, percent=percent)
    for delay in ECHO_MS:
        for level in ECHO_DB:
            issue = Issue.ECHO if level > -15 else None
            made = partial(degrade.echoed, delay_ms=delay, level_db=level)
            yield f"echo, {delay} ms {level} dB", issue, made
    yield "cut wire, zeros", Issue.SILENCE, lambda s: _cut(s, np.zeros(8 * SAMPLE_RATE_HZ, np.float32))
    quiet_hum = np.float32(10 ** (-56 / 20)) * degrade.hum(8 * SAMPLE_RATE_HZ)
    yield "cut wire, hum at -56 dB", Issue.SILENCE, lambda s: _cut(s, quiet_hum)
    hiss = np.float32(10 ** (-60 / 20)) * degrade.white(8 * SAMPLE_RATE_HZ, random)
    hiss[:: 2 * SAMPLE_RATE_HZ] = 0.3
    yield "cut wire, hiss and clicks", Issue.SILENCE, lambda s: _cut(s, hiss)


def _noisy(samples: Samples, *, noise: Degrade, snr_db: float) -> Samples:
    return degrade.with_noise(samples, noise(samples), snr_db)


def _cut(samples: Samples, rest: Samples) -> Samples:
    return np.concatenate((samples[: 8 * SAMPLE_RATE_HZ], rest))


def quality(folder: Path, only: str) -> None:
    """The table of warnings on the sounds whose name contains `only`, and the CPU."""
    talks, bench = read_talks(folder), Bench()
    print("| sound | warned of it | after, s | again | other warnings |\n| --- | --- | --- | --- | --- |")
    counts: dict[Issue, list[int]] = {issue: [0, 0, 0, 0] for issue in Issue}
    false_minutes = 0.0
    for name, issue, made in cases(talks):
        if only not in name:
            continue
        heard = [bench.hear(made(samples)) for samples in talks.values()]
        false_minutes += sum(h.seconds for h in heard) / 60
        right = [h.warnings[issue] for h in heard if issue in h.warnings] if issue is not None else []
        wrong = {other: sum(other in h.warnings for h in heard) for other in Issue if other is not issue}
        for other, count in wrong.items():
            counts[other][0] += count
            counts[other][1] += len(heard)
        if issue is not None:
            counts[issue][2] += len(heard) - len(right)
            counts[issue][3] += len(heard)
        told = f"{len(right)} of {len(heard)}" if issue is not None else ""
        after = f"{np.median([times[0] for times in right]):.1f}" if right else ""
        again = str(sum(len(times) - 1 for times in right)) if issue is not None else ""
        others = ", ".join(f"{other.value} {count}" for other, count in wrong.items() if count)
        print(f"| {name} | {told} | {after} | {again} | {others} |", flush=True)
    print()
    for issue, (false, without, missed, there) in counts.items():
        print(f"{issue.value}: false alarms {false} of {without}, misses {missed} of {there}")
    print(f"{1000 * bench.cpu_s / bench.audio_s:.2f} ms of CPU for a second of sound, {bench.audio_s:.0f} s")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of 16-bit mono WAV files with speech")
    parser.add_argument("--only", default="", help="part of the names of the sounds to try")
    parser.add_argument("--dynamics", action="store_true")
    parser.add_argument("--formats", action="store_true")
    arguments = parser.parse_args()
    if arguments.dynamics:
        detectors_dynamics.run(read_talks(arguments.folder))
    elif arguments.formats:
        detectors_formats.run(read_talks(arguments.folder))
    else:
        quality(arguments.folder, arguments.only)


if __name__ == "__main__":
    main()
