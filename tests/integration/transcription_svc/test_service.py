"""The transcription contract over real gRPC, with a scripted engine."""

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.errors import BabelcastError, ErrorCode, RemoteError, is_moving
from babelcast.rpc.client import domain_errors, open_channel
from babelcast.transcription.v1 import transcription_pb2 as pb
from transcription_svc.engines.base import SegmentResult
from transcription_svc.service import SERVICE_NAME, TranscriptionService

if TYPE_CHECKING:
    from collections.abc import Sequence

    from babelcast.channel import Channel
    from babelcast.transcription.v1 import transcription_pb2_grpc as rpc


class Client(Protocol):
    """See conftest."""

    stub: "rpc.TranscriptionServiceAsyncStub"
    end: pb.StreamingTranscribeRequest

    def config(self, **changes: object) -> pb.StreamingTranscribeRequest: ...
    def audio(self, pcm: bytes, *, chunk_bytes: int = 3_200) -> "list[pb.StreamingTranscribeRequest]": ...
    async def run(
        self, requests: "Sequence[pb.StreamingTranscribeRequest]"
    ) -> "list[pb.StreamingTranscribeResponse]": ...


class Engine(Protocol):
    """See conftest."""

    closed: bool

    @property
    def streams(self) -> "Sequence[Stream]": ...


class Stream(Protocol):
    """See conftest."""

    closed: bool
    heard: int
    out: "Channel[SegmentResult]"


def tone(seconds: float, rate: int = 16_000) -> bytes:
    """A 200 Hz tone."""
    t = np.arange(int(seconds * rate)) / rate
    return (8_000 * np.sin(2 * np.pi * 200 * t)).astype("<i2").tobytes()


async def read(
    call: "grpc.aio.StreamStreamCall[pb.StreamingTranscribeRequest, pb.StreamingTranscribeResponse]",
) -> str:
    """Kind of the next response; empty at the end of the stream."""
    response = await call.read()
    return (
        (response.WhichOneof("payload") or "") if isinstance(response, pb.StreamingTranscribeResponse) else ""
    )


async def refused(client: Client, *requests: pb.StreamingTranscribeRequest) -> RemoteError:
    """The error that a stream ends with."""
    with pytest.raises(RemoteError) as caught, domain_errors():
        await client.run(requests)
    return caught.value


async def test_a_stream_from_started_to_ended(client: Client) -> None:
    """Config, audio, end; started, numbered results with session times and dynamics, ended."""
    requests = [client.config(first_segment=7, start_offset_ms=60_000), *client.audio(tone(2.5)), client.end]
    first, *results, last = await client.run(requests)
    assert first.started.engine == "seconds"
    assert [response.result.segment for response in results] == [7, 8]
    assert (results[1].result.start_ms, results[1].result.end_ms) == (61_000, 62_000)
    assert results[1].result.dynamics.emotion == "neutral"
    assert results[1].result.dynamics.energy > 0.1
    assert last.ended.audio_ms == pytest.approx(2_500, abs=32)


@pytest.mark.parametrize("context_ms", [2_016, 2_030])
async def test_context_is_heard_and_not_answered(client: Client, context_ms: int) -> None:
    """Results begin behind its whole frames, whatever pieces it comes in; times are those of what follows."""
    config = client.config(start_offset_ms=60_000, context_ms=context_ms)
    pcm = tone(2.016) + tone(1.2)
    first, result, last = await client.run([config, *client.audio(pcm, chunk_bytes=4_000), client.end])
    assert first.HasField("started")
    assert (result.result.start_ms, result.result.end_ms) == (60_000, 61_000)
    assert last.ended.audio_ms == pytest.approx(1_200, abs=32)


async def test_other_rates_are_resampled(client: Client) -> None:
    """8 kHz audio has the same length inside."""
    responses = await client.run(
        [client.config(sample_rate_hz=8_000), *client.audio(tone(2.2, 8_000)), client.end]
    )
    assert [response.result.text for response in responses[1:-1]] == ["second 0", "second 1"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"language": "tlh"}, ErrorCode.UNSUPPORTED_LANGUAGE),
        ({"sample_rate_hz": 44_100}, ErrorCode.INVALID_AUDIO_FORMAT),
        ({"min_stability": 0.5}, ErrorCode.INVALID_PARAMETER),
        ({"max_buffer_timeout_s": 11.0}, ErrorCode.INVALID_PARAMETER),
    ],
)
async def test_bad_configs_are_named(client: Client, change: dict[str, object], code: ErrorCode) -> None:
    """Each wrong setting has its code."""
    assert (await refused(client, client.config(**change))).code == code


async def test_half_a_sample_ends_the_stream(client: Client) -> None:
    """An odd number of bytes is no audio."""
    error = await refused(client, client.config(), *client.audio(b"abc"))
    assert error.code == ErrorCode.INVALID_AUDIO_FORMAT


async def test_oversize_chunks_end_the_stream(client: Client) -> None:
    """A chunk has at most 32 KiB."""
    error = await refused(client, client.config(), *client.audio(bytes(40_000), chunk_bytes=40_000))
    assert error.code == ErrorCode.AUDIO_CHUNK_TOO_LARGE


async def test_the_order_of_messages_is_kept(client: Client) -> None:
    """Audio before the config and a second config are refused."""
    assert (await refused(client, *client.audio(bytes(32)))).code == ErrorCode.INVALID_MESSAGE
    twice = await refused(client, client.config(), client.config())
    assert twice.code == ErrorCode.INVALID_MESSAGE


async def test_a_broken_stream_has_no_end(client: Client, transcriber: Engine) -> None:
    """Requests that stop without an end are answered without `ended`, and the engine's stream is closed."""
    responses = await client.run([client.config(), *client.audio(tone(0.3))])
    assert all(response.WhichOneof("payload") != "ended" for response in responses)
    assert transcriber.streams[0].closed


async def test_one_stream_too_many_is_refused_until_one_leaves(client: Client) -> None:
    """Two places: the third stream gets RESOURCE_EXHAUSTED before `started`; a freed place is free."""
    open_calls = [client.stub.StreamingTranscribe() for _ in range(2)]
    for call in open_calls:
        await call.write(client.config())
        assert await read(call) == "started"
    full = await client.stub.GetCapabilities(pb.GetCapabilitiesRequest())
    assert (full.max_streams, full.open_streams, full.engine) == (2, 2, "seconds")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.run([client.config()])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await refused(client, client.config())).code == ErrorCode.SERVICE_UNAVAILABLE
    await open_calls[0].write(client.end)
    assert await read(open_calls[0]) == "ended"
    assert await read(open_calls[0]) == ""
    assert (await client.run([client.config(), client.end]))[-1].WhichOneof("payload") == "ended"
    open_calls[1].cancel()


async def test_silence_is_reported_and_clears(client: Client) -> None:
    """Quality events travel in the stream."""
    responses = await client.run([client.config(), *client.audio(bytes(32_000 * 6) + tone(1)), client.end])
    events = [response.quality for response in responses if response.WhichOneof("payload") == "quality"]
    assert [(event.issue, event.active) for event in events] == [
        (pb.QUALITY_ISSUE_SILENCE, True),
        (pb.QUALITY_ISSUE_SILENCE, False),
    ]
    assert events[0].measurements["threshold_dbfs"] == -50


async def test_draining_ends_a_stream_after_its_open_segment(
    client: Client, service: TranscriptionService, transcriber: Engine
) -> None:
    """Words that are out become final; then the stream's owner hears that it is to move, and the engine is
    freed.
    """
    call = client.stub.StreamingTranscribe()
    await call.write(client.config())
    assert await read(call) == "started"
    engine = transcriber.streams[0]
    await engine.out.send(result("good", is_final=False))
    assert await read(call) == "result"
    closing = asyncio.create_task(service.aclose(grace_s=20))
    await asyncio.sleep(0)
    await engine.out.send(result("good morning", is_final=True))
    assert await read(call) == "result"
    assert is_moving(await broken(call))
    async with asyncio.timeout(5):
        await closing
    assert transcriber.closed


async def test_draining_ends_a_stream_between_segments_at_once(
    client: Client, service: TranscriptionService
) -> None:
    """What has not become words yet is heard elsewhere: the owner still has its sound."""
    call = client.stub.StreamingTranscribe()
    await call.write(client.config())
    assert await read(call) == "started"
    closing = asyncio.create_task(service.aclose(grace_s=20))
    assert is_moving(await broken(call))
    async with asyncio.timeout(5):
        await closing


async def test_a_segment_that_does_not_end_holds_no_drain_up(
    client: Client, service: TranscriptionService, transcriber: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After FINISH_S its owner is sent on; the words are recognised again there."""
    monkeypatch.setattr("transcription_svc.stream.FINISH_S", 0.05)
    call = client.stub.StreamingTranscribe()
    await call.write(client.config())
    assert await read(call) == "started"
    await transcriber.streams[0].out.send(result("good", is_final=False))
    assert await read(call) == "result"
    closing = asyncio.create_task(service.aclose(grace_s=20))
    assert is_moving(await broken(call))
    await closing


async def test_a_draining_servicer_takes_no_stream(client: Client, service: TranscriptionService) -> None:
    """A stream that was under way to a replica when it began to stop is to go to another at once."""
    service._servicer.drain()
    assert is_moving(await refused(client, client.config()))


def result(text: str, *, is_final: bool) -> SegmentResult:
    """The first segment, as understood now."""
    return SegmentResult(0, int(is_final), text, text, is_final, 1.0, 0, 16_000)


async def broken(call: Any) -> BabelcastError:
    """What a stream ends with."""
    with pytest.raises(BabelcastError) as caught, domain_errors():
        async with asyncio.timeout(10):
            await call.read()
    return caught.value


async def test_health_tells_when_it_serves(service: TranscriptionService, client: Client) -> None:
    """A started service says SERVING under its full name."""
    async with open_channel(f"127.0.0.1:{service.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE_NAME))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.engines
async def test_the_process_serves_until_sigterm() -> None:
    """`python -m transcription_svc` says when it serves and exits 0 on SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "transcription_svc"),
        env={"TRANSCRIPTION_BIND": "127.0.0.1:0", "PATH": ""},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"transcription service listens" not in await process.stderr.readline():
            assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0


async def test_a_bad_environment_is_explained() -> None:
    """A wrong value ends the process with its name, before anything is loaded."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "transcription_svc"),
        env={"TRANSCRIPTION_MAX_STREAMS": "many", "PATH": ""},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert b"TRANSCRIPTION_MAX_STREAMS" in said
