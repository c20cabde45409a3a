"""Speaking a talk to the transcription service at the pace of speech, and what comes back when."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol

from babelcast import pcm
from babelcast.pcm import BYTES_PER_MS
from babelcast.rpc.client import open_channel
from babelcast.transcription.v1 import transcription_pb2 as pb
from babelcast.transcription.v1 import transcription_pb2_grpc as rpc
from bench.quality.display import Shown
from bench.quality.recordings import pcm_of
from bench.quality.talks import Talk
from bench.quality.virtual_time import VirtualTimeLoop
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.model import find_model
from transcription_svc.engines.whisper import WhisperDecoder
from transcription_svc.recognition import LiveTranscriber
from transcription_svc.service import create_service
from transcription_svc.stream import TranscriptionStream
from transcription_svc.vad import SileroDetector

CHUNK_MS = 100
TAIL_MS = 1500
"""Silence after the last sample: speakers do not close the stream with their last word."""


class Station(Protocol):
    """Something that transcribes streams."""

    def transcribe(
        self, config: pb.StreamConfig, requests: AsyncIterable[pb.StreamingTranscribeRequest]
    ) -> AsyncIterator[pb.StreamingTranscribeResponse]:
        """Responses to a stream that begins with `config` and goes on with `requests`."""
        ...


class GrpcStation:
    """The service behind gRPC, as gateways see it."""

    def __init__(self, stub: "rpc.TranscriptionServiceAsyncStub") -> None:
        self._stub = stub

    async def transcribe(
        self, config: pb.StreamConfig, requests: AsyncIterable[pb.StreamingTranscribeRequest]
    ) -> AsyncIterator[pb.StreamingTranscribeResponse]:
        """One call."""

        async def whole() -> AsyncIterator[pb.StreamingTranscribeRequest]:
            yield pb.StreamingTranscribeRequest(config=config)
            async for request in requests:
                yield request

        async for response in self._stub.StreamingTranscribe(whole()):
            yield response


@contextlib.asynccontextmanager
async def served(*, max_streams: int, workers: int = 0) -> AsyncIterator[GrpcStation]:
    """The service with its own engine in this process, on a free port; `workers` 0: as configured."""
    config = TranscriptionConfig(
        transcription_bind="127.0.0.1:0",
        transcription_max_streams=max_streams,
        transcription_workers=workers,
    )
    async with (
        await create_service(config) as service,
        open_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        yield GrpcStation(rpc.TranscriptionServiceStub(channel))


class DirectStation:
    """The service's streams without gRPC, on any event loop: for virtual time."""

    def __init__(self, config: TranscriptionConfig) -> None:
        """Load the engine."""
        files = find_model(
            model_dir=config.model_path, data_dir=Path(config.data_dir), download=config.model_download
        )
        self._workers = config.workers
        self._decoder = WhisperDecoder(files, workers=config.workers)
        self._decoder.warm_up()
        self._detector = SileroDetector()

    async def transcribe(
        self, config: pb.StreamConfig, requests: AsyncIterable[pb.StreamingTranscribeRequest]
    ) -> AsyncIterator[pb.StreamingTranscribeResponse]:
        """One stream, with all workers to itself."""
        clock = asyncio.get_running_loop().time
        transcriber = LiveTranscriber(self._decoder, workers=self._workers, clock=clock)
        try:
            stream = TranscriptionStream(config, transcriber=transcriber, detector=self._detector)
            async for response in stream.responses(requests):
                yield response
        finally:
            await transcriber.aclose()


async def speak(station: Station, talk: Talk) -> list[Shown]:
    """All results; times are those of the loop's clock, from the talk's first sample.

    A sample is sent when it has been spoken, in pieces of 100 ms.
    """
    loop = asyncio.get_running_loop()
    began = math.nan

    async def spoken() -> AsyncIterator[pb.StreamingTranscribeRequest]:
        nonlocal began
        began = loop.time()
        audio = pcm_of(talk.samples) + pcm.silence(TAIL_MS)
        size = CHUNK_MS * BYTES_PER_MS
        for number, start in enumerate(range(0, len(audio), size), start=1):
            await asyncio.sleep(began + number * CHUNK_MS / 1000 - loop.time())
            yield pb.StreamingTranscribeRequest(audio=pb.AudioChunk(pcm=audio[start : start + size]))
        yield pb.StreamingTranscribeRequest(end=pb.EndOfAudio())

    results: list[Shown] = []
    async for response in station.transcribe(_config(talk.language), spoken()):
        if response.WhichOneof("payload") == "result":
            result = response.result
            results.append(
                Shown(
                    loop.time() - began,
                    result.segment,
                    result.text,
                    result.stable_text,
                    result.is_final,
                    result.start_ms / 1000,
                    result.end_ms / 1000,
                )
            )
    return results


def _config(language: str) -> pb.StreamConfig:
    """What a speaker gets who asks for nothing special."""
    return pb.StreamConfig(
        session_id="bench",
        language=language,
        sample_rate_hz=pcm.SAMPLE_RATE_HZ,
        partial_results=True,
        min_stability=0.85,
        max_buffer_timeout_s=5.0,
    )


Speech = Callable[[Talk], list[Shown]]
"""Speaks a talk to the service and returns all results."""


@contextlib.contextmanager
def at_real_pace() -> Iterator[Speech]:
    """The service behind gRPC, and the clock on the wall."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        station = runner.run(stack.enter_async_context(served(max_streams=1)))
        try:
            yield lambda talk: runner.run(speak(station, talk))
        finally:
            runner.run(stack.aclose())


@contextlib.contextmanager
def in_virtual_time() -> Iterator[Speech]:
    """The service's streams without gRPC, and a clock that skips the waits."""
    station = DirectStation(TranscriptionConfig())

    def say(talk: Talk) -> list[Shown]:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(speak(station, talk))

    yield say
