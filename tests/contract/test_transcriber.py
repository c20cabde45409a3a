"""What every transcriber does, whatever hears the words. A new adapter adds its rig to RIGS.

All rigs hear the same speech: words that can be read off the samples (`tests.amazon.reciting`); only scripted
speech has words of its own, in the same places.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import numpy as np
import pytest

from babelcast import scripted
from babelcast.errors import BabelcastError
from tests.amazon import reciting
from tests.amazon.driving import amazon, everything, feed, pause, spoken_words
from tests.amazon.reciting import Reciter, words_in
from tests.amazon.server import TranscribeServer
from transcription_svc.audio import Samples
from transcription_svc.engines.base import (
    Capabilities,
    DecodeTask,
    Hypothesis,
    SegmentResult,
    StreamOptions,
    Transcriber,
    Word,
)
from transcription_svc.engines.scripted.transcriber import ScriptedTranscriber
from transcription_svc.recognition import LiveTranscriber

PATIENCE_S = 30.0
ENGLISH = StreamOptions(language="en")


class ReadingDecoder:
    """Reads the words off the samples; a Whisper that never errs, but for words that are not whole."""

    capabilities = Capabilities(name="reading", languages=("en", "es"))

    def decode(self, samples: Samples, task: DecodeTask) -> Hypothesis:
        """Decode 16 kHz samples."""
        pcm = np.rint(samples * 32768.0).astype("<i2").tobytes()
        found = tuple(Word(word.text, word.start_s, word.end_s) for word in words_in(pcm))
        return Hypothesis(found, timed=task.timed)


class DeadDecoder(ReadingDecoder):
    """Fails always."""

    def decode(self, samples: Samples, task: DecodeTask) -> Hypothesis:
        """Decode 16 kHz samples."""
        raise ServiceGone("gone")


class ServiceGone(BabelcastError):
    """What the dead decoder raises."""


Rig: TypeAlias = Callable[[TranscribeServer], AbstractAsyncContextManager[Transcriber]]


@asynccontextmanager
async def whisper(server: TranscribeServer) -> AsyncIterator[Transcriber]:
    """The live transcriber with a decoder that follows the speech."""
    transcriber = LiveTranscriber(ReadingDecoder(), workers=1)
    yield transcriber
    await transcriber.aclose()


@asynccontextmanager
async def amazon_transcribe(server: TranscribeServer) -> AsyncIterator[Transcriber]:
    """Amazon's client with a server that follows the speech."""
    server.scripts = [Reciter()]
    transcriber = amazon(server)
    yield transcriber
    await transcriber.aclose()


@asynccontextmanager
async def dead_whisper(server: TranscribeServer) -> AsyncIterator[Transcriber]:
    """A decoder that fails."""
    transcriber = LiveTranscriber(DeadDecoder(), workers=1)
    yield transcriber
    await transcriber.aclose()


@asynccontextmanager
async def dead_amazon(server: TranscribeServer) -> AsyncIterator[Transcriber]:
    """A service that refuses."""

    async def refuse(call: object) -> None:
        call.refuse(403, "AccessDeniedException")  # type: ignore[attr-defined]

    server.scripts = [refuse]
    transcriber = amazon(server)
    yield transcriber
    await transcriber.aclose()


@asynccontextmanager
async def scripted_engine(server: TranscribeServer) -> AsyncIterator[Transcriber]:
    """Reads words that are tones."""
    transcriber = ScriptedTranscriber()
    yield transcriber
    await transcriber.aclose()


RIGS: dict[str, Rig] = {"whisper": whisper, "amazon": amazon_transcribe, "scripted": scripted_engine}
DEAD_RIGS: dict[str, Rig] = {"whisper": dead_whisper, "amazon": dead_amazon}


@pytest.fixture(params=RIGS)
async def transcriber(
    request: pytest.FixtureRequest, transcribe_server: TranscribeServer
) -> AsyncIterator[Transcriber]:
    """Each adapter in turn."""
    async with RIGS[request.param](transcribe_server) as made:
        yield made


Speak: TypeAlias = Callable[[int, int], Samples]


@pytest.fixture
def speak(transcriber: Transcriber) -> Speak:
    """The sound of so many words from a number on, each half a second."""
    return speak_in_tones if isinstance(transcriber, ScriptedTranscriber) else reciting.speak


def speak_in_tones(first: int, count: int) -> Samples:
    """The sound of words of the vocabulary."""
    pcm = scripted.spoken(scripted.WORDS[first : first + count], gap_ms=500 - scripted.WORD_MS)
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768.0)


async def transcribe(
    transcriber: Transcriber, *pieces: Samples, options: StreamOptions = ENGLISH
) -> list[SegmentResult]:
    """All results of a talk."""
    recognition = transcriber.open(options)
    reading = asyncio.create_task(everything(recognition))
    try:
        async with asyncio.timeout(PATIENCE_S):
            for piece in pieces:
                await feed(recognition, piece)
            await recognition.finish()
            return await reading
    finally:
        reading.cancel()
        await recognition.aclose()


def said(results: list[SegmentResult]) -> list[int]:
    """The numbers of the words of all finals."""
    return [
        scripted.WORDS.index(word) if word in scripted.WORDS else int(word.removeprefix("w"))
        for word in spoken_words(results)
    ]


def words(count: int) -> list[int]:
    """The numbers of the words that `speak(1, count)` says."""
    return list(range(1, count + 1))


async def test_it_says_what_it_can(transcriber: Transcriber) -> None:
    """Capabilities have a name and sorted languages."""
    capabilities = transcriber.capabilities
    assert capabilities.name
    assert "en" in capabilities.languages
    assert list(capabilities.languages) == sorted(set(capabilities.languages))


async def test_every_word_is_in_exactly_one_final(transcriber: Transcriber, speak: Speak) -> None:
    """A talk with pauses comes out whole, in order, and once."""
    results = await transcribe(transcriber, speak(1, 4), pause(1.5), speak(5, 5), pause(1.5), speak(10, 2))
    assert said(results) == words(11)


async def test_numbers_have_no_gaps_and_one_final_each(transcriber: Transcriber, speak: Speak) -> None:
    """Segments count from the first one wanted; each has any partials, then one final."""
    options = StreamOptions(language="en", first_segment=40)
    results = await transcribe(transcriber, speak(1, 4), pause(1.5), speak(5, 4), pause(1.5), options=options)
    segment = 40
    for found in results:
        assert found.segment == segment
        segment += found.is_final
    assert segment > 41
    assert results[-1].is_final


async def test_revisions_grow_within_a_segment(transcriber: Transcriber, speak: Speak) -> None:
    """Later results of a segment have higher revisions."""
    results = await transcribe(transcriber, speak(1, 8), pause(1.5), speak(9, 4))
    last = -1
    for found in results:
        assert found.revision > last
        last = -1 if found.is_final else found.revision


async def test_stable_text_only_grows(transcriber: Transcriber, speak: Speak) -> None:
    """It begins the text, is never taken back, and is all of a final text."""
    results = await transcribe(transcriber, speak(1, 9), pause(1.5), speak(10, 3))
    stable = ""
    for found in results:
        assert found.text
        assert found.text.startswith(found.stable_text)
        assert found.stable_text.startswith(stable)
        assert 0.0 <= found.stability <= 1.0
        stable = "" if found.is_final else found.stable_text
        if found.is_final:
            assert (found.stable_text, found.stability) == (found.text, 1.0)


async def test_times_are_those_of_the_speech(transcriber: Transcriber, speak: Speak) -> None:
    """Finals have the positions of their words, in order and without overlap."""
    results = await transcribe(transcriber, pause(1.0), speak(1, 4), pause(2.0), speak(5, 3), pause(1.5))
    finals = [found for found in results if found.is_final]
    position = 0
    for final in finals:
        assert position <= final.start <= final.end
        position = final.end
    assert finals[0].start == pytest.approx(16_000, abs=6_400)
    assert finals[-1].end == pytest.approx(16_000 * 6.4, abs=6_400)


async def test_no_segment_grows_too_long(transcriber: Transcriber, speak: Speak) -> None:
    """Who never pauses is cut before the longest time, by a margin of a word."""
    options = StreamOptions(language="en", max_segment_s=2.0)
    results = await transcribe(transcriber, speak(1, 12), options=options)
    assert said(results) == words(12)
    assert all(found.end - found.start <= 2.6 * 16_000 for found in results if found.is_final)


async def test_partial_results_can_be_done_without(transcriber: Transcriber, speak: Speak) -> None:
    """Who does not want them gets finals alone."""
    options = StreamOptions(language="en", partial_results=False)
    results = await transcribe(transcriber, speak(1, 4), pause(1.5), options=options)
    assert results
    assert all(found.is_final for found in results)


async def test_silence_says_nothing(transcriber: Transcriber) -> None:
    """No speech, no results, and yet an end."""
    assert await transcribe(transcriber, pause(2.0)) == []


async def test_nothing_at_all_ends(transcriber: Transcriber) -> None:
    """A stream without audio ends."""
    assert await transcribe(transcriber) == []


async def test_closing_ends_the_results_and_may_be_repeated(transcriber: Transcriber, speak: Speak) -> None:
    """A stream that is closed in the middle ends; closing again does nothing."""
    recognition = transcriber.open(ENGLISH)
    await feed(recognition, speak(1, 1))
    await recognition.aclose()
    await recognition.aclose()
    other = await transcribe(transcriber, speak(1, 2), pause(1.0))
    assert said(other) == words(2)


async def test_streams_are_apart(transcriber: Transcriber, speak: Speak) -> None:
    """Two talks at once stay two talks."""
    found = await asyncio.gather(
        transcribe(transcriber, speak(1, 4), pause(1.0)),
        transcribe(transcriber, speak(11, 4), pause(1.0)),
    )
    assert said(found[0]) == words(4)
    assert said(found[1]) == [11, 12, 13, 14]


@pytest.mark.parametrize("rig", DEAD_RIGS)
async def test_a_dead_engine_is_an_error_and_no_end(rig: str, transcribe_server: TranscribeServer) -> None:
    """What the engine cannot do ends the results with an error that has a name."""
    async with DEAD_RIGS[rig](transcribe_server) as transcriber:
        recognition = transcriber.open(ENGLISH)
        reading = asyncio.create_task(everything(recognition))
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(BabelcastError):
                await feed(recognition, reciting.speak(1, 8))
                await recognition.finish()
                await reading
            await asyncio.wait([reading])
        assert isinstance(reading.exception(), BabelcastError)
        await recognition.aclose()
