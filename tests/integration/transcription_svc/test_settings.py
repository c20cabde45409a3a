"""What a session chooses reaches what comes out, over real gRPC with a scripted decoder."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from babelcast.channel import Channel
from babelcast.rpc.client import open_channel
from babelcast.telemetry import instruments
from babelcast.transcription.v1 import transcription_pb2 as pb
from babelcast.transcription.v1 import transcription_pb2_grpc as rpc
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.base import Capabilities, DecodeTask, Hypothesis, SegmentResult, Word
from transcription_svc.recognition import LiveTranscriber
from transcription_svc.service import create_service

WORD_S = 0.32


class Client(Protocol):
    """See conftest."""

    stub: "rpc.TranscriptionServiceAsyncStub"
    end: pb.StreamingTranscribeRequest

    def config(self, **changes: object) -> pb.StreamingTranscribeRequest: ...
    def audio(self, pcm: bytes, *, chunk_bytes: int = 3_200) -> "list[pb.StreamingTranscribeRequest]": ...
    async def run(
        self, requests: "Sequence[pb.StreamingTranscribeRequest]"
    ) -> "list[pb.StreamingTranscribeResponse]": ...


class LevelDecoder:
    """Hears a word in each 0.32 s of a ramp whose level tells which one it is, so that cuts lose nothing."""

    capabilities = Capabilities(name="levels", languages=("en",), word_times=True)

    def decode(self, samples: Samples, task: DecodeTask) -> Hypothesis:
        """Decode 16 kHz samples."""
        step = int(WORD_S * 16_000)
        levels = np.round(np.abs(samples) * 1000).astype(int)
        words = []
        for level in sorted(set(levels.tolist()) - {0}):
            where = np.flatnonzero(levels == level)
            if len(where) > step // 2:
                words.append(Word(f"w{level}", where[0] / 16_000, (where[-1] + 1) / 16_000))
        timed = tuple(words) if task.timed else tuple(Word(word.text) for word in words)
        return Hypothesis(timed, timed=task.timed)


class ToldDetector:
    """Takes every sound for speech."""

    def track(self) -> "ToldDetector":
        """The same for every stream."""
        return self

    def probabilities(self, samples: Samples) -> Samples:
        """1.0 for frames with any sound in them."""
        loudest = np.abs(samples.reshape(-1, FRAME_SAMPLES)).max(axis=1)
        return np.asarray(loudest > 0.0005, np.float32)


def talk(words: int) -> bytes:
    """Words without a pause between them, then silence that ends the last."""
    levels = np.repeat(np.arange(1, words + 1), int(WORD_S * 16_000)) * 32.768
    return np.concatenate([levels, np.zeros(24_000)]).round().astype("<i2").tobytes()


@pytest.fixture
async def levels(make_client: Callable[..., Client]) -> AsyncIterator[Client]:
    """A client of a service with the scripted decoder."""
    config = TranscriptionConfig(transcription_bind="127.0.0.1:0")
    transcriber = LiveTranscriber(LevelDecoder(), workers=1)
    async with (
        await create_service(config, transcriber=transcriber, detector=ToldDetector()) as service,
        open_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        yield make_client(rpc.TranscriptionServiceStub(channel))


async def results(client: Client, *, words: int = 30, **settings: object) -> list[pb.TranscriptResult]:
    """The results of a talk."""
    responses = await client.run([client.config(**settings), *client.audio(talk(words)), client.end])
    return [response.result for response in responses if response.WhichOneof("payload") == "result"]


@pytest.mark.parametrize("longest_s", [2.0, 5.0, 10.0])
async def test_max_buffer_timeout_bounds_every_segment(levels: Client, longest_s: float) -> None:
    """A speaker who never pauses gets segments no longer than asked for, and all words once."""
    found = await results(levels, words=40, max_buffer_timeout_s=longest_s)
    finals = [result for result in found if result.is_final]
    assert " ".join(result.text for result in finals).casefold() == " ".join(f"w{n}" for n in range(1, 41))
    assert max(result.end_ms - result.start_ms for result in finals) <= longest_s * 1000
    if longest_s == 10.0:
        assert max(result.end_ms - result.start_ms for result in finals) > 5000


async def test_partial_results_can_be_declined(levels: Client) -> None:
    """Without partial results each segment has one result, its final one with revision 0."""
    found = await results(levels, partial_results=False)
    assert found
    assert all(result.is_final and result.revision == 0 for result in found)
    assert not all(result.is_final for result in await results(levels))


async def test_min_stability_delays_stable_text(levels: Client) -> None:
    """At 0.95 words need more agreement than at 0.70: less of what is shown is stable, none is taken back."""

    async def unstable_words(min_stability: float) -> float:
        found = await results(levels, words=12, min_stability=min_stability)
        partial = [result for result in found if not result.is_final]
        stable = ""
        for result in found:
            stable = stable if result.revision else ""
            assert result.text.startswith(stable)
            stable = result.stable_text
        waiting = [len(each.text.split()) - len(each.stable_text.split()) for each in partial]
        return sum(waiting) / len(waiting)

    assert await unstable_words(0.70) < await unstable_words(0.95)


async def test_capabilities_are_told(levels: Client, make_client: Callable[..., Client]) -> None:
    """Partial results, word times and the load are known before a stream is opened."""
    told = await levels.stub.GetCapabilities(pb.GetCapabilitiesRequest())
    assert (told.engine, told.partial_results, told.word_times, told.has_premium) == (
        "levels",
        True,
        True,
        False,
    )
    assert told.load == 0.0


class Engine(Protocol):
    """See conftest."""

    @property
    def streams(self) -> "Sequence[Stream]": ...


class Stream(Protocol):
    """See conftest."""

    out: Channel[SegmentResult]


def said(text: str, *, final: bool) -> SegmentResult:
    """A result as an engine gives it."""
    stable = text if final else ""
    return SegmentResult(
        segment=0,
        revision=0,
        text=text,
        stable_text=stable,
        is_final=final,
        stability=1.0,
        start=0,
        end=16_000,
    )


async def test_corrections_are_counted(
    client: Client, transcriber: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A final text unlike the one last shown counts once, and the log tells it without the text."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    monkeypatch.setattr(instruments, "CORRECTIONS", meter.create_counter("corrections"))
    caplog.set_level(logging.DEBUG, "transcription_svc")
    call = client.stub.StreamingTranscribe()
    await call.write(client.config())
    responses = aiter(call)
    assert (await anext(responses)).WhichOneof("payload") == "started"
    for result in (said("drop the two", final=False), said("Drop the tube.", final=True)):
        await transcriber.streams[0].out.send(result)
    await call.write(client.end)
    await call.done_writing()
    kinds = [response.WhichOneof("payload") async for response in responses]
    assert kinds == ["result", "result", "ended"]
    data = reader.get_metrics_data()
    assert data is not None
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert point.value == 1  # type: ignore[union-attr]
    assert dict(point.attributes or {}) == {"engine": "seconds"}
    (record,) = [record for record in caplog.records if record.message == "shown text corrected"]
    assert "tube" not in str(record.__dict__)


async def test_at_most_five_partials_a_second_arrive(levels: Client) -> None:
    """However fast the audio is taken, no second holds more than five partial results."""
    loop = asyncio.get_running_loop()
    requests = [levels.config(), *levels.audio(talk(40)), levels.end]
    at = [
        loop.time()
        async for response in levels.stub.StreamingTranscribe(iter(requests))
        if response.WhichOneof("payload") == "result" and not response.result.is_final
    ]
    assert at
    assert all(later - earlier > 0.9 for earlier, later in zip(at, at[5:], strict=False))
