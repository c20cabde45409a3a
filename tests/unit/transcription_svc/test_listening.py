"""Quality and dynamics beside recognition, and never in its way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from babelcast import wav
from babelcast.pcm import SAMPLE_RATE_HZ
from bench import degrade
from transcription_svc import listening as module
from transcription_svc.audio import FRAME_SAMPLES, PcmReader, Samples
from transcription_svc.dynamics import NEUTRAL
from transcription_svc.listening import Listening, ListeningPolicy
from transcription_svc.quality import Issue, QualityChange
from transcription_svc.vad import SileroDetector

TEXT = "and so my fellow americans ask not what your country can do for you"


@pytest.fixture(scope="module")
def talk(jfk_wav: Path) -> Samples:
    """Recorded speech, whole frames."""
    samples = PcmReader(SAMPLE_RATE_HZ).read(wav.read(jfk_wav).pcm)
    return samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]


@pytest.fixture(scope="module")
def speech(talk: Samples) -> Samples:
    """Its speech probabilities."""
    return SileroDetector().track().probabilities(talk)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, what is measured is measured in time."""
    monkeypatch.setattr(module, "PATIENCE_S", 10)


class Stream:
    """A stream's listening, and what it reported."""

    def __init__(self, policy: ListeningPolicy | None = None) -> None:
        self.changes: list[QualityChange] = []
        self.listening = Listening(self._report, policy or ListeningPolicy())
        self.position = 0

    async def _report(self, change: QualityChange) -> None:
        self.changes.append(change)

    async def hear(self, samples: Samples, speech: Samples) -> tuple[int, int]:
        """Feed a second at a time and let each look be had; the place of what was heard."""
        start = self.position
        for at in range(0, len(speech), 32):
            part = samples[at * FRAME_SAMPLES : (at + 32) * FRAME_SAMPLES]
            await self.listening.hear(part, speech[at : at + 32])
            if self.listening._look is not None:
                await asyncio.wait([self.listening._look])
        self.position += len(samples)
        return start, self.position


@pytest.fixture
async def stream() -> AsyncIterator[Stream]:
    """A stream with all its measures."""
    made = Stream()
    yield made
    await made.listening.aclose()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Measuring hangs until the event is set."""
    go = threading.Event()
    real = module._measured

    def slow(*arguments: object) -> object:
        go.wait(30)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_measured", slow)
    yield go
    go.set()


async def test_a_louder_sentence_is_said_to_be_louder(stream: Stream, talk: Samples, speech: Samples) -> None:
    """The first sentence is the usual, the same 8 dB louder is emphatic, 12 dB softer is calm."""
    first = await stream.listening.dynamics(*await stream.hear(talk, speech), TEXT)
    louder = await stream.listening.dynamics(*await stream.hear(degrade.louder(talk, 4), speech), TEXT)
    softer = await stream.listening.dynamics(*await stream.hear(degrade.louder(talk, -12), speech), TEXT)
    assert (first.emotion, first.intensity) == ("neutral", 0)
    assert first.energy > 0.05
    assert (louder.emotion, softer.emotion) == ("emphatic", "calm")
    assert louder.volume_db == pytest.approx(4, abs=1)


@pytest.mark.parametrize(
    ("kind", "emotion"), [("higher", "excited"), ("faster", "neutral"), ("same", "neutral")]
)
async def test_pitch_and_pace(stream: Stream, talk: Samples, kind: str, emotion: str) -> None:
    """Louder, higher and faster is excited; faster alone is told as a rate."""
    changed = {
        "same": talk,
        "faster": degrade.faster(talk, 1.3),
        "higher": degrade.faster(degrade.higher(degrade.louder(talk, 4), 5), 1.2),
    }[kind]
    changed = changed[: len(changed) // FRAME_SAMPLES * FRAME_SAMPLES]
    detector = SileroDetector()
    usual = await stream.hear(talk, detector.track().probabilities(talk))
    await stream.listening.dynamics(*usual, TEXT)
    place = await stream.hear(changed, detector.track().probabilities(changed))
    found = await stream.listening.dynamics(*place, TEXT)
    assert found.emotion == emotion
    if kind != "higher":  # twice processed, some of it is no speech to the voice detector any more
        assert found.rate == pytest.approx({"same": 1.0, "faster": 1.3}[kind], rel=0.1)


async def test_the_baseline_is_forgotten_after_its_time(talk: Samples, speech: Samples) -> None:
    """After a pause longer than its life a speaker is measured anew."""
    stream = Stream(ListeningPolicy(baseline_ttl_s=5))
    await stream.listening.dynamics(*await stream.hear(talk, speech), TEXT)
    silence = np.zeros(200 * FRAME_SAMPLES, np.float32)
    await stream.hear(silence, np.zeros(200, np.float32))
    found = await stream.listening.dynamics(*await stream.hear(degrade.louder(talk, -12), speech), TEXT)
    await stream.listening.aclose()
    assert (found.emotion, found.volume_db) == ("neutral", 0)


async def test_without_emotion_level_and_rate_remain(talk: Samples, speech: Samples) -> None:
    """Switched off, nothing but the emotion is neutral, and no pitch is measured."""
    stream = Stream(ListeningPolicy(emotion=False))
    await stream.listening.dynamics(*await stream.hear(talk, speech), TEXT)
    found = await stream.listening.dynamics(*await stream.hear(degrade.louder(talk, -12), speech), TEXT)
    await stream.listening.aclose()
    assert (found.emotion, found.intensity) == ("neutral", 0)
    assert found.volume_db == pytest.approx(-12, abs=1)
    assert stream.listening._track.unmeasured() is not None


async def test_slow_measuring_holds_nothing_up(
    talk: Samples, speech: Samples, hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a look hangs audio is taken, a final waits once for a moment, and later ones not at all."""
    stream = Stream()
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    async with asyncio.timeout(30):
        for at in range(0, len(speech), 32):
            await stream.listening.hear(
                talk[at * FRAME_SAMPLES : (at + 32) * FRAME_SAMPLES], speech[at : at + 32]
            )
        assert await stream.listening.dynamics(0, len(talk), TEXT) == NEUTRAL
        assert stream.listening._late is stream.listening._look
        monkeypatch.setattr(module, "PATIENCE_S", 1_000)
        assert await stream.listening.dynamics(0, len(talk), TEXT) == NEUTRAL
        hanging.set()
        assert stream.listening._look is not None
        await asyncio.wait([stream.listening._look])
        assert (await stream.listening.dynamics(0, len(talk), TEXT)).energy > 0
    await stream.listening.aclose()


async def test_failing_measures_are_neutral(
    talk: Samples, speech: Samples, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in measuring is logged, and costs the dynamics of a segment, nothing else."""

    def broken(*_: object) -> None:
        raise ValueError("no measure")

    stream = Stream()
    monkeypatch.setattr(module, "_measured", broken)
    place = await stream.hear(talk, speech)
    assert await stream.listening.dynamics(*place, TEXT) == NEUTRAL
    assert "sound not measured" in caplog.text
    await stream.listening.aclose()


async def test_looks_report_noise(stream: Stream, talk: Samples, speech: Samples) -> None:
    """What the looks find is reported as it is found."""
    noisy = degrade.with_noise(talk, degrade.white(len(talk), np.random.default_rng(1)), 5)
    await stream.hear(noisy, speech)
    assert [(change.issue, change.active) for change in stream.changes] == [(Issue.SNR_LOW, True)]


async def test_silence_has_no_dynamics(stream: Stream) -> None:
    """A segment without a frame of speech is neutral."""
    place = await stream.hear(np.zeros(64 * FRAME_SAMPLES, np.float32), np.zeros(64, np.float32))
    assert await stream.listening.dynamics(*place, "x") == NEUTRAL
