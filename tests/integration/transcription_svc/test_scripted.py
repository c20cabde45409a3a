"""The scripted engine behind real gRPC, as a service with no setting but its engine has it."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol

import pytest

from babelcast import scripted
from babelcast.config import load
from babelcast.pcm import BYTES_PER_MS
from babelcast.rpc.client import open_channel
from babelcast.transcription.v1 import transcription_pb2 as pb
from babelcast.transcription.v1 import transcription_pb2_grpc as rpc
from transcription_svc.config import TranscriptionConfig
from transcription_svc.service import create_service

if TYPE_CHECKING:
    from babelcast.transcription.v1.transcription_pb2_grpc import TranscriptionServiceAsyncStub

PERIOD_MS = 8 * (scripted.WORD_MS + scripted.GAP_MS) + scripted.PAUSE_MS
FRAME_MS = 32


class Client(Protocol):
    """See conftest."""

    stub: "TranscriptionServiceAsyncStub"
    end: pb.StreamingTranscribeRequest

    def config(self, **changes: object) -> pb.StreamingTranscribeRequest: ...
    def audio(self, pcm: bytes, *, chunk_bytes: int = 3_200) -> list[pb.StreamingTranscribeRequest]: ...
    async def run(
        self, requests: Sequence[pb.StreamingTranscribeRequest]
    ) -> list[pb.StreamingTranscribeResponse]: ...


@pytest.fixture
async def scripted_client(make_client: type[Client]) -> AsyncIterator[Client]:
    """A client of a service with the engine."""
    environ = {"TRANSCRIPTION_ENGINE": "scripted", "TRANSCRIPTION_BIND": "127.0.0.1:0"}
    service = await create_service(load(TranscriptionConfig, environ))
    async with service, open_channel(f"127.0.0.1:{service.port}") as channel:
        yield make_client(rpc.TranscriptionServiceStub(channel))  # type: ignore[call-arg]


def finals(responses: Sequence[pb.StreamingTranscribeResponse]) -> list[pb.TranscriptResult]:
    """All final results."""
    return [response.result for response in responses if response.result.is_final]


async def test_a_service_says_that_it_is_scripted(scripted_client: Client) -> None:
    """By its engine's name, with room for many streams and all the scripted languages."""
    found = await scripted_client.stub.GetCapabilities(pb.GetCapabilitiesRequest())
    assert (found.engine, found.max_streams, found.has_premium) == ("scripted", 1000, False)
    assert list(found.languages) == list(scripted.LANGUAGES)


async def test_what_is_said_is_read(scripted_client: Client) -> None:
    """Each sentence is a segment at its place, with partial results before it."""
    client = scripted_client
    pcm = scripted.script_speech(4, 3)
    responses = await client.run([client.config(), *client.audio(pcm), client.end])
    assert responses[0].started.engine == "scripted"
    found = finals(responses)
    assert [final.text for final in found] == [scripted.sentence(4, number) for number in range(3)]
    for number, final in enumerate(found):
        assert final.start_ms == pytest.approx(number * PERIOD_MS, abs=12)
        assert final.end_ms == pytest.approx((number + 1) * PERIOD_MS - 640, abs=12)
    assert any(response.HasField("result") and not response.result.is_final for response in responses)
    assert not any(response.HasField("quality") for response in responses)
    assert responses[-1].ended.audio_ms >= 3 * PERIOD_MS


@pytest.mark.parametrize("sample_rate_hz", [8_000, 48_000])
async def test_other_rates_say_the_same(scripted_client: Client, sample_rate_hz: int) -> None:
    """The service brings them to 16 kHz."""
    import numpy as np
    import soxr

    client = scripted_client
    samples = np.frombuffer(scripted.script_speech(4, 2), "<i2")
    pcm = soxr.resample(samples, 16_000, sample_rate_hz).astype("<i2").tobytes()
    config = client.config(sample_rate_hz=sample_rate_hz)
    found = finals(await client.run([config, *client.audio(pcm), client.end]))
    assert [final.text for final in found] == [scripted.sentence(4, 0), scripted.sentence(4, 1)]


@pytest.mark.parametrize("after_words", [1, 3, 6])
async def test_a_stream_opened_anew_in_a_sentence_gives_the_same_words(
    scripted_client: Client, after_words: int
) -> None:
    """It begins at the frame in which the last word ended that was answered; what is context is not said."""
    client = scripted_client
    pcm = scripted.script_speech(9, 2)
    end_ms = after_words * (scripted.WORD_MS + scripted.GAP_MS) - scripted.GAP_MS
    start_ms = end_ms // FRAME_MS * FRAME_MS
    context_ms = min(start_ms, 10 * FRAME_MS)
    config = client.config(first_segment=5, start_offset_ms=start_ms, context_ms=context_ms)
    rest = pcm[(start_ms - context_ms) * BYTES_PER_MS :]
    first, second = finals(await client.run([config, *client.audio(rest), client.end]))
    words = scripted.sentence(9, 0).rstrip(".").lower().split()
    assert first.text.rstrip(".").lower().split() == words[after_words:]
    assert first.start_ms == pytest.approx(end_ms + scripted.GAP_MS, abs=12)
    assert (first.segment, second.segment) == (5, 6)
    assert second.text == scripted.sentence(9, 1)
