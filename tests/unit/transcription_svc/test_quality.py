"""Noise, clipping, echo and silence, on recorded speech made bad on purpose."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast import wav
from babelcast.pcm import SAMPLE_RATE_HZ
from bench import degrade
from transcription_svc.audio import FRAME_SAMPLES, PcmReader, Samples
from transcription_svc.noise import bands, snr_db
from transcription_svc.quality import (
    Issue,
    Latch,
    QualityChange,
    QualityMonitor,
    QualityPolicy,
    judge,
)
from transcription_svc.vad import SileroDetector


@pytest.fixture(scope="module")
def detector() -> SileroDetector:
    """The voice detector, loaded once."""
    return SileroDetector()


@pytest.fixture(scope="module")
def talk(jfk_wav: Path) -> Samples:
    """Recorded speech, twice over."""
    return np.tile(PcmReader(SAMPLE_RATE_HZ).read(wav.read(jfk_wav).pcm), 2)


class Ear:
    """Feeds a monitor as a stream does, with the real voice detector."""

    def __init__(self, detector: SileroDetector, policy: QualityPolicy | None = None) -> None:
        self.monitor = QualityMonitor(policy)
        self._track = detector.track()
        self._heard = 0

    def hear(self, samples: Samples) -> list[QualityChange]:
        """What changed; looks closer after each second."""
        changes: list[QualityChange] = []
        chunk = 3 * FRAME_SAMPLES
        for at in range(0, len(samples) - chunk + 1, chunk):
            part = samples[at : at + chunk]
            changes += self.monitor.hear(part, self._track.probabilities(part))
            self._heard += chunk
            if self._heard >= SAMPLE_RATE_HZ:
                self._heard -= SAMPLE_RATE_HZ
                look = self.monitor.look()
                changes += self.monitor.take(judge(look)) if look is not None else []
        return changes


def states(changes: Iterable[QualityChange]) -> list[tuple[Issue, bool]]:
    """What changed to what."""
    return [(change.issue, change.active) for change in changes]


def silent(seconds: float) -> Samples:
    """A wire that is cut."""
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32)


def test_good_speech_raises_nothing(detector: SileroDetector, talk: Samples) -> None:
    """Clean speech is fine as it is, soft, as loud as can be, through a telephone, and with a pause."""
    for good in (
        talk,
        degrade.louder(talk, -20),
        talk / np.abs(talk).max(),
        degrade.telephone(talk),
        np.concatenate((talk, silent(4), talk)),
    ):
        assert Ear(detector).hear(good) == []


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize(("snr", "active"), [(0, True), (10, True), (17, True), (30, False)])
def test_noise_under_speech(
    detector: SileroDetector, talk: Samples, kind: str, snr: float, active: bool
) -> None:
    """Noise is reported once when it is less than 20 dB under the speech, with about its measure."""
    make = {"white": degrade.white, "pink": degrade.pink}[kind]
    noise = make(len(talk), np.random.default_rng(1))
    changes = Ear(detector).hear(degrade.with_noise(talk, noise, snr))
    assert states(changes) == ([(Issue.SNR_LOW, True)] if active else [])
    for change in changes:
        assert change.measurements["snr_db"] == pytest.approx(snr, abs=3)
        assert change.measurements["threshold_db"] == 20


def test_noise_that_ends_clears_once(detector: SileroDetector, talk: Samples) -> None:
    """After the noise has gone the warning is taken back."""
    noise = degrade.pink(len(talk), np.random.default_rng(1))
    changes = Ear(detector).hear(np.concatenate((degrade.with_noise(talk, noise, 5), talk)))
    assert states(changes) == [(Issue.SNR_LOW, True), (Issue.SNR_LOW, False)]


def test_the_threshold_of_noise_can_be_set(detector: SileroDetector, talk: Samples) -> None:
    """At 10 dB, noise at 15 dB is good enough; at 40 dB hardly any room is."""
    noisy = degrade.with_noise(talk, degrade.white(len(talk), np.random.default_rng(1)), 15)
    assert Ear(detector, QualityPolicy(snr_db=10)).hear(noisy) == []
    assert states(Ear(detector, QualityPolicy(snr_db=40)).hear(talk)) == [(Issue.SNR_LOW, True)]


def test_noise_is_not_told_from_a_gate_or_from_silence() -> None:
    """Without a second of speech, and in digital silence, there is no ratio."""
    sound = degrade.white(FRAME_SAMPLES * 156, np.random.default_rng(1))
    assert snr_db(bands(sound), np.zeros(156, np.float32)) is None
    assert snr_db(bands(np.zeros_like(sound)), np.ones(156, np.float32)) is None


@pytest.mark.parametrize("percent", [1, 3, 8])
def test_clipping(detector: SileroDetector, talk: Samples, percent: float) -> None:
    """Too much gain is reported once, whatever share it cuts off, and clears after 10 s without."""
    ear = Ear(detector)
    changes = ear.hear(degrade.clipped(talk[: 11 * SAMPLE_RATE_HZ], percent))
    assert states(changes) == [(Issue.CLIPPING, True)]
    assert changes[0].measurements["clipped_percent"] > changes[0].measurements["threshold_percent"] == 1
    assert ear.hear(talk[: 6 * SAMPLE_RATE_HZ]) == []
    assert states(ear.hear(talk[: 5 * SAMPLE_RATE_HZ])) == [(Issue.CLIPPING, False)]


def test_the_threshold_of_clipping_can_be_set(detector: SileroDetector, talk: Samples) -> None:
    """What is too much by default may be allowed."""
    assert Ear(detector, QualityPolicy(clipping_percent=10)).hear(degrade.clipped(talk, 0.1)) == []


@pytest.mark.parametrize("delay_ms", [10, 50, 150, 500])
def test_an_echo_is_found_with_its_delay(detector: SileroDetector, talk: Samples, delay_ms: float) -> None:
    """A copy 10 dB down is an echo and nothing else; it clears when it is gone."""
    echoed = degrade.echoed(talk[: 15 * SAMPLE_RATE_HZ], delay_ms=delay_ms, level_db=-10)
    changes = Ear(detector).hear(np.concatenate((echoed, talk)))
    assert states(changes) == [(Issue.ECHO, True), (Issue.ECHO, False)]
    assert changes[0].measurements["delay_ms"] == pytest.approx(delay_ms, abs=1)
    assert changes[0].measurements["echo_db"] == pytest.approx(-10, abs=3)


def test_a_weak_echo_is_none(detector: SileroDetector, talk: Samples) -> None:
    """A copy 20 dB down disturbs nobody."""
    assert Ear(detector).hear(degrade.echoed(talk, delay_ms=30, level_db=-20)) == []


def test_music_has_no_echo(detector: SileroDetector) -> None:
    """What repeats without speech is not judged."""
    music = np.float32(0.1) * degrade.music(15 * SAMPLE_RATE_HZ)
    assert Ear(detector).hear(music) == []


@pytest.mark.parametrize("kind", ["zeros", "hum", "clicks"])
def test_a_cut_wire(detector: SileroDetector, talk: Samples, kind: str) -> None:
    """Silence is reported after 5 s, not 4.5, though it hums or clicks, and clears with the first words."""
    rest = silent(6)
    if kind == "hum":
        rest += np.float32(10 ** (-56 / 20)) * degrade.hum(len(rest))
    elif kind == "clicks":
        rest[::SAMPLE_RATE_HZ] = 0.5
    ear = Ear(detector)
    assert ear.hear(np.concatenate((talk, rest[: 9 * SAMPLE_RATE_HZ // 2]))) == []
    assert states(ear.hear(rest[:SAMPLE_RATE_HZ])) == [(Issue.SILENCE, True)]
    assert states(ear.hear(talk[: 2 * SAMPLE_RATE_HZ])) == [(Issue.SILENCE, False)]


def test_a_level_near_the_threshold_does_not_flicker(detector: SileroDetector) -> None:
    """Hiss that swings by 2 dB around -50 dBFS is silence once, not again and again."""
    count = 20 * SAMPLE_RATE_HZ
    swing = 10 ** (np.sin(2 * np.pi * np.arange(count) / SAMPLE_RATE_HZ / 12) * 2 / 20)
    hiss = degrade.white(count, np.random.default_rng(1)) * swing * 10 ** (-50.5 / 20)
    assert len(Ear(detector).hear(hiss.astype(np.float32))) <= 1


@given(st.lists(st.sampled_from(["bad", "good", "between"])), st.integers(1, 4), st.integers(1, 4))
def test_a_latch_needs_its_looks(verdicts: Sequence[str], looks_in: int, looks_out: int) -> None:
    """It says bad after that many bad looks in a row, good after that many good ones, nothing else."""
    latch = Latch(looks_in=looks_in, looks_out=looks_out)
    for number, verdict in enumerate(verdicts, start=1):
        said = latch.decide(bad=verdict == "bad", good=verdict == "good")
        worst = all(v == "bad" for v in verdicts[max(0, number - looks_in) : number]) and number >= looks_in
        best = all(v == "good" for v in verdicts[max(0, number - looks_out) : number]) and number >= looks_out
        assert said is (True if worst else False if best else None)
