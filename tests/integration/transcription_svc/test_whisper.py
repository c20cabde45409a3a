"""Real speech through the real engine, over gRPC and as fast as it is taken."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import soxr

from babelcast import wav
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.rpc.client import open_channel
from babelcast.transcription.v1 import transcription_pb2 as pb
from babelcast.transcription.v1 import transcription_pb2_grpc as rpc
from bench.degrade import babble, pcm16, white, with_noise
from bench.quality.alignment import errors
from bench.quality.repetition import invented_loops
from bench.quality.virtual_time import VirtualTimeLoop
from bench.wer import normalise, word_error_rate
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.base import DecodeTask, Effort, SegmentResult, StreamOptions
from transcription_svc.engines.model import find_model
from transcription_svc.engines.whisper import WhisperDecoder
from transcription_svc.recognition import LiveRecognition, LiveTranscriber
from transcription_svc.service import create_service
from transcription_svc.vad import SileroDetector
from transcription_svc.words import join

pytestmark = pytest.mark.engines

SAID = (
    "And so, my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country."
)


class Client(Protocol):
    """See conftest."""

    end: pb.StreamingTranscribeRequest

    def config(self, **changes: object) -> pb.StreamingTranscribeRequest: ...
    def audio(self, pcm: bytes, *, chunk_bytes: int = 3_200) -> "list[pb.StreamingTranscribeRequest]": ...
    async def run(
        self, requests: "Sequence[pb.StreamingTranscribeRequest]"
    ) -> "list[pb.StreamingTranscribeResponse]": ...


@pytest.fixture(scope="module")
def decoder() -> WhisperDecoder:
    """The real model, loaded once."""
    model = find_model(model_dir=None, data_dir=Path("no-such-folder"), download=False)
    return WhisperDecoder(model, workers=2)


@pytest.fixture
async def whisper(decoder: WhisperDecoder, make_client: type) -> AsyncIterator[Client]:
    """A client of a service with it."""
    config = TranscriptionConfig(transcription_bind="127.0.0.1:0")
    transcriber = LiveTranscriber(decoder, workers=2)
    async with (
        await create_service(config, transcriber=transcriber) as service,
        open_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        yield make_client(rpc.TranscriptionServiceStub(channel))


def finals(responses: Sequence[pb.StreamingTranscribeResponse]) -> str:
    """The final texts."""
    return " ".join(response.result.text for response in responses if response.result.is_final)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
async def test_a_talk_is_recognised(whisper: Client, jfk_wav: Path, rate: int) -> None:
    """At most one word of 22 is wrong, at every sample rate; stable text is never taken back."""
    pcm = np.frombuffer(wav.read(jfk_wav).pcm, "<i2")
    audio = soxr.resample(pcm, 16_000, rate).astype("<i2").tobytes()
    chunks = whisper.audio(audio, chunk_bytes=rate // 5)
    responses = await whisper.run([whisper.config(sample_rate_hz=rate), *chunks, whisper.end])
    assert word_error_rate(SAID, finals(responses), "en") < 0.05
    stable: dict[int, str] = {}
    results = [response.result for response in responses if response.WhichOneof("payload") == "result"]
    for result in results:
        assert result.text.startswith(stable.get(result.segment, ""))
        stable[result.segment] = result.stable_text
    assert not all(result.is_final for result in results)


def test_the_same_audio_gives_the_same_results_however_it_arrives(
    decoder: WhisperDecoder, jfk_wav: Path
) -> None:
    """All at once or at the pace of speech: each partial result, each promise and each cut is the same."""
    voice = _samples(jfk_wav)
    voice = np.pad(voice, (0, -len(voice) % FRAME_SAMPLES + 40 * FRAME_SAMPLES))

    async def heard(frames: int, pause_s: float) -> list[SegmentResult]:
        transcriber = LiveTranscriber(decoder, workers=1, clock=lambda: 0.0)
        recognition = transcriber.open(StreamOptions(language="en"))
        track = SileroDetector().track()
        reading = asyncio.create_task(_all(recognition))
        for start in range(0, len(voice), frames * FRAME_SAMPLES):
            piece = voice[start : start + frames * FRAME_SAMPLES]
            await recognition.feed(piece, track.probabilities(piece))
            await asyncio.sleep(pause_s)
        await recognition.finish()
        results = await reading
        await recognition.aclose()
        await transcriber.aclose()
        return results

    with asyncio.Runner() as runner:
        at_once = runner.run(heard(10_000, 0.0))
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        at_pace = runner.run(heard(3, 3 * FRAME_SAMPLES / SAMPLE_RATE_HZ))
    assert at_once == at_pace
    assert len(at_once) > 10


async def _all(recognition: LiveRecognition) -> list[SegmentResult]:
    return [result async for result in recognition.results()]


async def test_streams_do_not_disturb_each_other(whisper: Client, jfk_wav: Path) -> None:
    """Two at once give each its own whole text."""
    requests = [whisper.config(), *whisper.audio(wav.read(jfk_wav).pcm), whisper.end]
    both = await asyncio.gather(whisper.run(requests), whisper.run(requests))
    assert all(word_error_rate(SAID, finals(responses), "en") < 0.05 for responses in both)


@pytest.mark.parametrize("kind", ["silence", "white", "pink", "hum", "chords"])
async def test_no_sentence_is_invented(whisper: Client, kind: str) -> None:
    """30 s of silence, noise, mains hum or music-like chords give no text."""
    count = 30 * 16_000
    t = np.arange(count) / 16_000
    white = np.random.default_rng(5).normal(size=count)
    spectrum = np.fft.rfft(white) / np.sqrt(np.maximum(1, np.arange(count // 2 + 1)))
    pink = np.fft.irfft(spectrum, count)
    root = 220 * 2 ** (np.array([0, 5, 7, 3])[(t * 2).astype(int) % 4] / 12)
    phase = np.cumsum(root) / 16_000
    chords = sum(np.sin(2 * np.pi * phase * ratio) for ratio in (1, 1.26, 1.498))
    sounds = {
        "silence": np.zeros(count),
        "white": 0.1 * white,
        "pink": 0.1 * pink / np.std(pink),
        "hum": 0.2 * np.sin(2 * np.pi * 50 * t) + 0.1 * np.sin(2 * np.pi * 150 * t),
        "chords": 0.15 * chords * (1 - 0.8 * ((t * 2) % 1)),
    }
    pcm = (np.clip(sounds[kind], -1, 1) * 32_767).astype("<i2").tobytes()
    responses = await whisper.run([whisper.config(), *whisper.audio(pcm), whisper.end])
    assert [response.result.text for response in responses if response.result.text] == []


def test_a_crowd_has_no_words(decoder: WhisperDecoder, jfk_wav: Path) -> None:
    """Six voices at once, played backwards: nothing is invented, nothing loops."""
    voice = _samples(jfk_wav)
    crowd = np.float32(0.05) * babble([voice], len(voice), np.random.default_rng(1))
    task = DecodeTask(language="en", effort=Effort.THOROUGH)
    for start_s in (0, 3, 6):
        piece = crowd[start_s * 16_000 : (start_s + 4) * 16_000]
        assert [word.text for word in decoder.decode(piece, task).words] == []


def test_it_goes_on_from_known_words(decoder: WhisperDecoder, jfk_wav: Path) -> None:
    """Words that are known to be said first are left out, and what follows them is found with its times."""
    voice = _samples(jfk_wav)[: 5 * SAMPLE_RATE_HZ]
    whole = decoder.decode(voice, DecodeTask(language="en", effort=Effort.THOROUGH, timed=True))
    task = DecodeTask(language="en", effort=Effort.THOROUGH, timed=True, prefix=whole.words[:5])
    rest = decoder.decode(voice, task)
    assert [word.text for word in rest.words] == [word.text for word in whole.words[5:]]
    for found, expected in zip(rest.words, whole.words[5:], strict=True):
        assert found.end_s == pytest.approx(expected.end_s, abs=0.1)
    # the probabilities of what follows are a part of those of the whole, and count by themselves
    spelt, spelt_rest = (sum(len(word.tokens) for word in each.words) for each in (whole, rest))
    assert rest.average_logprob * (spelt_rest + 1) > whole.average_logprob * (spelt + 1) - 0.1
    assert rest.average_logprob < whole.average_logprob
    all_known = DecodeTask(language="en", effort=Effort.QUICK, prefix=whole.words)
    assert decoder.decode(voice, all_known).words == ()


@pytest.mark.parametrize("kind", ["white", "babble"])
async def test_speech_as_loud_as_noise_is_not_added_to(whisper: Client, jfk_wav: Path, kind: str) -> None:
    """At 0 dB words are missed and mistaken, but hardly more come than were said, and none go round."""
    voice = _samples(jfk_wav)
    random = np.random.default_rng(1)
    noise = white(len(voice), random) if kind == "white" else babble([voice], len(voice), random)
    noisy = with_noise(voice, noise, 0.0)
    pcm = pcm16(noisy * np.float32(0.9) / np.abs(noisy).max())
    heard = normalise(finals(await whisper.run([whisper.config(), *whisper.audio(pcm), whisper.end])), "en")
    said = normalise(SAID, "en")
    assert len(heard) <= 1.15 * len(said)
    assert invented_loops(said, heard) == []
    assert errors(said, heard).insertion_rate <= 0.1


def _samples(file: Path) -> Samples:
    return np.frombuffer(wav.read(file).pcm, "<i2").astype(np.float32) / np.float32(32_768)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("你好。今天天气很好，谢谢", ["你", "好。", "今", "天", "天", "气", "很", "好，", "谢", "谢"]),
        ("สวัสดีครับ ขอบคุณ", None),
        ("So, my fellow — Americans!", ["So,", "my", "fellow —", "Americans!"]),
        ("Ça va ? 🙂 Oui", None),
    ],
)
def test_tokens_become_words_of_any_script(
    decoder: WhisperDecoder, text: str, words: list[str] | None
) -> None:
    """Scripts without spaces give pieces that join to the same text; no sign is torn."""
    tokens = decoder._tokenizer.encode(f" {text}", add_special_tokens=False).ids
    found = [word.text for word, _ in decoder._words(tokens)]
    assert join(found) == text
    assert all("\N{REPLACEMENT CHARACTER}" not in word for word in found)
    if words is not None:
        assert join(found) == join(words)
        assert len(found) >= 4


def test_decodes_cost_what_they_take(decoder: WhisperDecoder) -> None:
    """A thorough decode costs more than a quick one, and both less than the speech they are about."""
    cost = decoder.measure_cost()
    assert 0 < cost.quick_s < cost.thorough_s < 3
