"""Streams over real gRPC, without engines."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast import process
from babelcast.errors import BabelcastError, ErrorCode, is_moving
from babelcast.rpc.client import domain_errors, open_channel
from babelcast.rpc.server import GrpcServer
from babelcast.translation.v1 import translation_pb2 as pb
from babelcast.translation.v1 import translation_pb2_grpc
from translation_svc.__main__ import start
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.cost import Tally, uncounted
from translation_svc.glossary import Glossary
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.service import SERVICE_NAME, TranslationServicer
from translation_svc.turns import Urgency

if TYPE_CHECKING:
    from tests.integration.translation_svc.conftest import Owner, Stub


class Desk:
    """An interpreter in capitals; holds back texts that begin with "wait"."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()

    def sources(self) -> list[str]:
        return ["en"]

    def voices(self, language: str) -> list[str]:
        return ["voice"] if language == "es" else []

    def targets(self, source: str) -> list[str]:
        return ["es", "pt"] if source == "en" else []

    def warm(self, source: str, target: str | None) -> None:
        return None

    async def translate(
        self,
        text: str,
        *,
        source: str,
        target: str,
        glossary: Glossary,
        urgency: Urgency,
        tally: Tally = uncounted,
        context: str = "",
    ) -> str:
        if text.startswith("wait"):
            self.waiting.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return text.upper()

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,
        tally: Tally = uncounted,
    ) -> Clip:
        return Clip(bytes(320), 16_000)

    async def opus(self, clip: Clip) -> bytes:
        return b"OggS"


@pytest.fixture
def desk() -> Desk:
    """The interpreter."""
    return Desk()


@pytest.fixture
def servicer(desk: Desk) -> TranslationServicer:
    """The service over it, two streams at most."""
    return TranslationServicer(desk, max_streams=2, segment_timeout_s=10)


@pytest.fixture
async def stub(servicer: TranslationServicer) -> AsyncIterator[translation_pb2_grpc.TranslationServiceStub]:
    """A client of the service."""
    server = GrpcServer("127.0.0.1:0", services=[SERVICE_NAME])
    translation_pb2_grpc.add_TranslationServiceServicer_to_server(servicer, server.server)
    async with server, open_channel(f"127.0.0.1:{server.port}") as channel:
        yield translation_pb2_grpc.TranslationServiceStub(channel)


async def _refused(
    call: grpc.aio.StreamStreamCall[pb.StreamingTranslateRequest, pb.StreamingTranslateResponse],
    *requests: pb.StreamingTranslateRequest,
) -> BabelcastError:
    with pytest.raises(BabelcastError) as refused, domain_errors():
        for request in requests:
            await call.write(request)
        await call.done_writing()
        while await call.read() is not grpc.aio.EOF:
            pass
    return refused.value


async def test_a_stream_from_config_to_end(owner: "Owner") -> None:
    """Started, answers in order, ended."""
    await owner.open()
    await owner.segment(1, "one", "es", speak=True, opus=True)
    await owner.segment(2, "two", "es", final=False)
    answers = await owner.end()
    assert [answer.WhichOneof("payload") for answer in answers] == ["translation", "speech", "translation"]
    assert answers[0].translation.text == "ONE"
    assert (answers[1].speech.duration_ms, answers[1].speech.opus) == (10, b"OggS")
    assert not answers[2].translation.is_final


async def test_an_empty_stream_ends_too(owner: "Owner") -> None:
    """Without a segment."""
    await owner.open()
    assert await owner.end() == []


async def test_german_is_refused_with_what_there_is(stub: "Stub") -> None:
    """As a source it ends the stream; as a target it fails alone."""
    config = pb.StreamingTranslateRequest(config=pb.StreamConfig(source_language="de"))
    error = await _refused(stub.StreamingTranslate(), config)
    assert (error.code, error.details["available"]) == (ErrorCode.UNSUPPORTED_LANGUAGE, ["en"])


async def test_a_failure_stands_in_the_place_of_an_answer(owner: "Owner") -> None:
    """For the unsupported target only."""
    await owner.open()
    await owner.segment(1, "one", "de", "es")
    failure, translation = await owner.end()
    assert (failure.failure.language, failure.failure.reason) == ("de", "UNSUPPORTED_LANGUAGE")
    assert failure.failure.component == pb.COMPONENT_TRANSLATION
    assert translation.translation.language == "es"


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        ([{"segment": pb.Segment()}], ErrorCode.INVALID_MESSAGE),
        ([{}], ErrorCode.INVALID_MESSAGE),
        ([], ErrorCode.INVALID_MESSAGE),
        ([{"config": pb.StreamConfig(source_language="!")}], ErrorCode.INVALID_LANGUAGE),
        ([{"config": pb.StreamConfig(source_language="en")}] * 2, ErrorCode.INVALID_MESSAGE),
        (
            [
                {"config": pb.StreamConfig(source_language="en")},
                {"segment": pb.Segment(text="x" * 2_001, is_final=True)},
            ],
            ErrorCode.INVALID_PARAMETER,
        ),
    ],
)
async def test_what_breaks_the_contract_is_named(
    stub: "Stub", requests: list[dict[str, Any]], code: ErrorCode
) -> None:
    """Each with its code."""
    messages = [pb.StreamingTranslateRequest(**request) for request in requests]
    assert (await _refused(stub.StreamingTranslate(), *messages)).code == code


async def test_a_stream_that_is_cut_gets_no_end(owner: "Owner", desk: Desk) -> None:
    """Half-closing without an end drops what is open."""
    await owner.open()
    await owner.segment(1, "wait", "es")
    await desk.waiting.wait()
    await owner.call.done_writing()
    assert await owner.call.read() is grpc.aio.EOF
    await desk.cancelled.wait()


async def test_a_cancelled_stream_lets_go_at_once(owner: "Owner", stub: "Stub", desk: Desk) -> None:
    """And gives its place to the next one."""
    await owner.open()
    await owner.segment(1, "wait", "es")
    await desk.waiting.wait()
    owner.call.cancel()
    async with asyncio.timeout(5):
        await desk.cancelled.wait()


async def test_a_stream_too_many_is_refused(owner: "Owner", stub: "Stub") -> None:
    """With the code for trying later."""
    await owner.open()
    second = type(owner)(stub)
    await second.open()
    error = await _refused(stub.StreamingTranslate())
    assert error.code == ErrorCode.SERVICE_UNAVAILABLE
    await second.end()
    third = type(owner)(stub)
    await third.open()
    await third.end()
    await owner.end()


async def test_draining_finishes_open_segments_and_refuses_streams(
    owner: "Owner", stub: "Stub", servicer: TranslationServicer, desk: Desk
) -> None:
    """The owner gets what was taken, then hears that it is to move."""
    await owner.open()
    await owner.segment(1, "wait", "es")
    await desk.waiting.wait()
    servicer.drain()
    desk.gate.set()
    assert (await owner.read()).translation.text == "WAIT"
    with pytest.raises(BabelcastError) as ended, domain_errors():
        await owner.call.read()
    assert ended.value.code == ErrorCode.SERVICE_UNAVAILABLE
    assert is_moving(ended.value)
    assert is_moving(await _refused(stub.StreamingTranslate()))


async def test_languages_are_listed(stub: "Stub") -> None:
    """Source to targets, and the voices of those that have one."""
    listed = await stub.ListLanguages(pb.ListLanguagesRequest())
    assert {source: list(targets.languages) for source, targets in listed.targets.items()} == {
        "en": ["es", "pt"]
    }
    assert {language: list(voices.names) for language, voices in listed.voices.items()} == {"es": ["voice"]}


async def test_with_no_engine_installed_the_service_lists_nothing_and_is_not_healthy(
    config: TranslationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But it starts, answers and stops."""
    monkeypatch.setattr("translation_svc.composition.installed_models", lambda _folder: {})
    monkeypatch.setattr("translation_svc.composition.installed_modes", lambda _folder: {})
    app = TranslationApp(config)
    port = await app.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        listed = await translation_pb2_grpc.TranslationServiceStub(channel).ListLanguages(
            pb.ListLanguagesRequest()
        )
        health = await health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service=SERVICE_NAME)
        )
    assert len(listed.targets) == 0
    assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await app.aclose()


def test_wrong_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is started."""
    monkeypatch.setenv("TRANSLATION_MAX_STREAMS", "none")
    assert process.run(start, name="translation_svc") == 1
    assert "TRANSLATION_MAX_STREAMS" in capsys.readouterr().err
