"""Live recognition with a decoder that follows a script."""

import asyncio
import random
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
from transcription_svc.recognition import LiveRecognition, LiveTranscriber

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
    """No audio is taken before the outcome of a decode, so memory and lag are bounded."""
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


async def test_a_stream_that_waits_for_a_worker_hears_on() -> None:
    """What is decoded is the newest audio, for a while, when another stream has held up the worker."""
    free = threading.Event()
    transcriber = LiveTranscriber(CountingDecoder(lambda _: _wait(free)), workers=1)
    first, second = (transcriber.open(StreamOptions(language="en")) for _ in range(2))
    reading = [asyncio.create_task(everything(each)) for each in (first, second)]
    async with asyncio.timeout(5):
        await feed(first, 0.33, speech=0.9)  # a partial result is due after 0.32 s
        await feed(second, 0.6, speech=0.9)
        waits = asyncio.create_task(feed(second, 2.0, speech=0.9))
        done, _ = await asyncio.wait([waits], timeout=0.1)
        assert not done
        free.set()
        await waits
        await first.finish()
        await second.finish()
        _, results = await asyncio.gather(*reading)
        assert results[-1].is_final
    await first.aclose()
    await second.aclose()
    await transcriber.aclose()


class Told:
    """Hears a word in every 0.4 s of samples that count themselves up; remembers what it was asked."""

    capabilities = Capabilities(name="told", languages=("en",))

    def __init__(self, seed: int) -> None:
        """Decodes take so long as `seed` says."""
        self.asked: list[tuple[int, int, DecodeTask]] = []
        self._chance = random.Random(seed)

    def decode(self, samples: Samples, task: DecodeTask) -> Hypothesis:
        """Decode 16 kHz samples."""
        start, end = int(samples[0]), int(samples[-1])
        self.asked.append((start, end, task))
        threading.Event().wait(self._chance.choice((0.0, 0.001, 0.004)))  # work
        # the last word is a guess, as it mostly is
        names = [f"w{at}" for at in range(-(-start // 6_400), end // 6_400)]
        names.append(f"guess{end}" if end % 6_400 > 3_200 else "and,")
        words = tuple(Word(name, 0.4 * n, 0.4 * n + 0.3) for n, name in enumerate(names))
        return Hypothesis(words, timed=task.timed)


async def _told(seed: int) -> tuple[list[tuple[int, int, DecodeTask]], list[SegmentResult]]:
    """What is decoded of half a minute, and what comes of it; `seed` says how long all takes."""
    decoder, chance = Told(seed), random.Random(seed)
    transcriber = LiveTranscriber(decoder, workers=1, clock=lambda: 0.0)
    recognition = transcriber.open(StreamOptions(language="en"))
    reading = asyncio.create_task(everything(recognition))
    talk, frames = random.Random(0), list[float]()
    while len(frames) < 30 * FRAMES_PER_SECOND:
        frames += [0.9] * talk.randint(3, 150) + [0.0] * talk.randint(1, 25)
    samples = np.arange(len(frames) * FRAME_SAMPLES, dtype=np.float32)
    start = 0
    while start < len(frames):
        end = min(len(frames), start + chance.choice((1, 3, 10, 200)))
        await recognition.feed(
            samples[start * FRAME_SAMPLES : end * FRAME_SAMPLES], np.array(frames[start:end], np.float32)
        )
        for _ in range(chance.choice((0, 1, 300))):
            await asyncio.sleep(0)
        start = end
    await recognition.finish()
    results = await reading
    await recognition.aclose()
    await transcriber.aclose()
    return decoder.asked, results


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_same_audio_gives_the_same_results_however_it_arrives(seed: int) -> None:
    """Neither the pace of the audio nor the time that decodes take changes what is decoded and recognised."""
    asked, results = await _told(0)
    again, same = await _told(seed)
    assert asked == again
    assert results == same
    assert len(results) > 30


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
