"""Live recognition with a decoder that follows a script."""

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.capacity import CostMeter, DecodeCost
from transcription_svc.engines.base import (
    Capabilities,
    DecodeTask,
    Effort,
    Hypothesis,
    SegmentResult,
    StreamOptions,
    Word,
)
from transcription_svc.recognition import LiveRecognition, LiveTranscriber, partial_interval_ms

FRAMES_PER_SECOND = 16_000 / FRAME_SAMPLES


class CountingDecoder:
    """Hears one word for every half second of audio: "w1 w2 …"."""

    capabilities = Capabilities(name="counting", languages=("en",))

    def __init__(self, before: Callable[[DecodeTask], None] = lambda _: None) -> None:
        self.before = before
        self.efforts: list[Effort] = []

    def decode(self, samples: Samples, task: DecodeTask) -> Hypothesis:
        """Decode 16 kHz samples."""
        self.before(task)
        self.efforts.append(task.effort)
        words = [f"w{number}" for number in range(1, 1 + int(len(samples) / 8_000))]
        timed = tuple(Word(word, 0.5 * n, 0.5 * n + 0.4) for n, word in enumerate(words))
        return Hypothesis(timed, timed=task.timed)


async def feed(recognition: LiveRecognition, seconds: float, *, speech: float) -> None:
    """Feed noise that counts as speech with this probability."""
    frames = int(seconds * FRAMES_PER_SECOND)
    await recognition.feed(np.zeros(frames * FRAME_SAMPLES, np.float32), np.full(frames, speech, np.float32))


async def everything(recognition: LiveRecognition) -> list[SegmentResult]:
    """All results up to the end."""
    return [result async for result in recognition.results()]


async def test_speech_becomes_partials_and_a_final() -> None:
    """A stream answers while it is fed and ends after what was open."""
    transcriber = LiveTranscriber(CountingDecoder(), workers=1)
    recognition = transcriber.open(StreamOptions(language="en"))
    reading = asyncio.create_task(everything(recognition))
    await feed(recognition, 2.0, speech=0.9)
    await feed(recognition, 1.0, speech=0.0)
    await feed(recognition, 1.2, speech=0.9)
    await recognition.finish()
    results = await reading
    assert [result.segment for result in results if result.is_final] == [0, 1]
    assert not results[0].is_final
    await recognition.aclose()
    await transcriber.aclose()


async def test_finals_are_decoded_thoroughly() -> None:
    """Partial results are quick, the last word is not."""
    decoder = CountingDecoder()
    transcriber = LiveTranscriber(decoder, workers=1)
    recognition = transcriber.open(StreamOptions(language="en"))
    await feed(recognition, 1.5, speech=0.9)
    await recognition.finish()
    await everything(recognition)
    assert decoder.efforts[-1] is Effort.THOROUGH
    assert Effort.QUICK in decoder.efforts
    await recognition.aclose()
    await transcriber.aclose()


async def test_feeding_waits_for_a_slow_decoder() -> None:
    """Audio is taken at most about a second ahead of a decode, so memory and lag are bounded."""
    free = threading.Event()
    transcriber = LiveTranscriber(CountingDecoder(lambda _: _wait(free)), workers=1)
    recognition = transcriber.open(StreamOptions(language="en"))
    feeding = asyncio.create_task(feed(recognition, 4.0, speech=0.9))
    done, _ = await asyncio.wait([feeding], timeout=0.2)
    assert not done
    free.set()
    reading = asyncio.create_task(everything(recognition))
    async with asyncio.timeout(5):
        await feeding
        await recognition.finish()
        assert any(result.is_final for result in await reading)
    await recognition.aclose()
    await transcriber.aclose()


def _wait(event: threading.Event) -> None:
    if not event.wait(5):
        raise TimeoutError


async def test_a_failing_decoder_fails_the_stream() -> None:
    """What the decoder raises reaches both the feeder and the reader."""

    def broken(_: DecodeTask) -> None:
        raise ArithmeticError("broken")

    transcriber = LiveTranscriber(CountingDecoder(broken), workers=1)
    recognition = transcriber.open(StreamOptions(language="en"))
    with pytest.raises(ArithmeticError):
        await feed(recognition, 4.0, speech=0.9)
    with pytest.raises(ArithmeticError):
        await everything(recognition)
    await recognition.aclose()
    await transcriber.aclose()


async def test_closing_in_the_middle_leaves_nothing_behind() -> None:
    """A stream that is closed while it decodes gives its slot back."""
    transcriber = LiveTranscriber(CountingDecoder(), workers=1)
    first = transcriber.open(StreamOptions(language="en"))
    await feed(first, 0.8, speech=0.9)
    await first.aclose()
    second = transcriber.open(StreamOptions(language="en"))
    await feed(second, 1.5, speech=0.9)
    await second.finish()
    async with asyncio.timeout(5):
        assert (await everything(second))[-1].is_final
    await second.aclose()
    await transcriber.aclose()
    assert transcriber.capabilities.name == "counting"


class SteppingClock:
    """Each look at it is `step_s` later than the one before: decodes seem to take so long."""

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s
        self.now_s = 0.0

    def __call__(self) -> float:
        """Now, s."""
        self.now_s += self.step_s
        return self.now_s


@pytest.mark.parametrize(("took_ms", "interval_ms"), [(50, 500), (340, 500), (400, 1000), (9_000, 3_000)])
def test_partial_results_slow_down_under_load(took_ms: float, interval_ms: float) -> None:
    """When decodes and the wait for them take long, partial results become rare, but never stop."""
    assert partial_interval_ms(500, took_ms=took_ms) == interval_ms


async def test_decodes_are_metered() -> None:
    """What quick and thorough decodes take reaches the meter that capacity is reckoned by."""
    meter = CostMeter(DecodeCost(quick_s=0.2, thorough_s=0.4))
    transcriber = LiveTranscriber(CountingDecoder(), workers=1, meter=meter, clock=SteppingClock(0.5))
    recognition = transcriber.open(StreamOptions(language="en"))
    await feed(recognition, 1.5, speech=0.9)
    await recognition.finish()
    await everything(recognition)
    assert meter.cost.quick_s > 0.2
    assert meter.cost.thorough_s > 0.4
    await recognition.aclose()
    await transcriber.aclose()
