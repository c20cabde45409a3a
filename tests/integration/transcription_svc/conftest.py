"""A service with a scripted engine behind real gRPC."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from babelcast.channel import Channel
from babelcast.rpc.client import open_channel
from babelcast.transcription.v1 import transcription_pb2 as pb
from babelcast.transcription.v1 import transcription_pb2_grpc as rpc
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.base import Capabilities, SegmentResult, StreamOptions
from transcription_svc.service import TranscriptionService, create_service


class SecondsRecognition:
    """Every second of audio is a segment with the text "second N"."""

    def __init__(self, options: StreamOptions) -> None:
        self.options = options
        self.heard = 0
        self.said = 0
        self.closed = False
        self.out: Channel[SegmentResult] = Channel(100)

    async def feed(self, samples: Samples, speech: Samples) -> None:
        """Take whole frames."""
        assert len(samples) == len(speech) * FRAME_SAMPLES
        self.heard += len(samples)
        while self.heard >= (self.said + 1) * 16_000:
            await self.say()

    async def say(self) -> None:
        """Emit one segment."""
        text = f"second {self.said}"
        await self.out.send(
            SegmentResult(
                segment=self.options.first_segment + self.said,
                revision=0,
                text=text,
                stable_text=text,
                is_final=True,
                stability=1.0,
                start=self.said * 16_000,
                end=(self.said + 1) * 16_000,
            )
        )
        self.said += 1

    async def finish(self) -> None:
        """No more audio."""
        self.out.close()

    async def results(self) -> AsyncIterator[SegmentResult]:
        """All results."""
        async for result in self.out:
            yield result

    async def aclose(self) -> None:
        """Stop at once."""
        self.closed = True
        self.out.close()


class SecondsTranscriber:
    """Opens scripted streams and remembers them."""

    capabilities = Capabilities(name="seconds", languages=("en", "es"))

    def __init__(self) -> None:
        self.streams: list[SecondsRecognition] = []
        self.closed = False

    def open(self, options: StreamOptions) -> SecondsRecognition:
        """Start a stream."""
        self.streams.append(SecondsRecognition(options))
        return self.streams[-1]

    async def aclose(self) -> None:
        """Free the engine."""
        self.closed = True


class LoudnessDetector:
    """Takes every sound for speech."""

    def track(self) -> "LoudnessDetector":
        """The same for every stream."""
        return self

    def probabilities(self, samples: Samples) -> Samples:
        """1.0 for frames with any sound in them."""
        loudest = np.abs(samples.reshape(-1, FRAME_SAMPLES)).max(axis=1)
        return np.asarray(loudest > 0.01, np.float32)


class Client:
    """What tests need of a stream's owner."""

    def __init__(self, stub: "rpc.TranscriptionServiceAsyncStub") -> None:
        self.stub = stub

    def config(self, **changes: object) -> pb.StreamingTranscribeRequest:
        """A valid config with changes."""
        fields: dict[str, object] = {
            "session_id": "golden-eagle-427",
            "language": "en",
            "sample_rate_hz": 16_000,
            "partial_results": True,
            "min_stability": 0.85,
            "max_buffer_timeout_s": 5.0,
        }
        return pb.StreamingTranscribeRequest(config=pb.StreamConfig(**(fields | changes)))  # type: ignore[arg-type]

    def audio(self, pcm: bytes, *, chunk_bytes: int = 3_200) -> list[pb.StreamingTranscribeRequest]:
        """PCM in chunks."""
        parts = range(0, len(pcm), chunk_bytes)
        return [
            pb.StreamingTranscribeRequest(audio=pb.AudioChunk(pcm=pcm[start : start + chunk_bytes]))
            for start in parts
        ]

    @property
    def end(self) -> pb.StreamingTranscribeRequest:
        """The last request."""
        return pb.StreamingTranscribeRequest(end=pb.EndOfAudio())

    async def run(
        self, requests: Sequence[pb.StreamingTranscribeRequest]
    ) -> list[pb.StreamingTranscribeResponse]:
        """Send everything, then take everything."""
        async with asyncio.timeout(60):
            return [response async for response in self.stub.StreamingTranscribe(iter(requests))]


@pytest.fixture
def transcriber() -> SecondsTranscriber:
    """The scripted engine."""
    return SecondsTranscriber()


@pytest.fixture
async def service(transcriber: SecondsTranscriber) -> AsyncIterator[TranscriptionService]:
    """A listening service with two places."""
    config = TranscriptionConfig(transcription_bind="127.0.0.1:0", transcription_max_streams=2)
    made = await create_service(config, transcriber=transcriber, detector=LoudnessDetector())
    await made.start()
    yield made
    await made.aclose(grace_s=0)


@pytest.fixture
async def client(service: TranscriptionService) -> AsyncIterator[Client]:
    """A client of it."""
    async with open_channel(f"127.0.0.1:{service.port}") as channel:
        yield Client(rpc.TranscriptionServiceStub(channel))


@pytest.fixture
def make_client() -> type[Client]:
    """For tests with a service of their own."""
    return Client
