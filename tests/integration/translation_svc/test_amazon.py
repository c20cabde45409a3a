"""The whole service with Amazon's engines, over gRPC."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.errors import ErrorCode
from babelcast.rpc.client import open_channel
from babelcast.translation.v1 import translation_pb2 as pb
from tests.aws_local import Fault
from translation_svc import composition
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.service import SERVICE_NAME

if TYPE_CHECKING:
    from tests.aws_local import AwsLocal
    from tests.integration.translation_svc.conftest import Owner, Stub


@pytest.fixture
def config(aws: "AwsLocal", request: pytest.FixtureRequest) -> TranslationConfig:
    """Amazon for both, patient; a parameter says whether partial segments are translated."""
    return TranslationConfig(
        translation_bind="127.0.0.1:0",
        drain_seconds=5,
        translation_engine="amazon",
        translation_partials=getattr(request, "param", "auto"),
        voice_engine="polly",
        translation_call_timeout_seconds=20,
        translation_segment_timeout_seconds=60,
    )


@pytest.fixture
async def late_app(
    config: TranslationConfig, aws: "AwsLocal", monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[TranslationApp]:
    """The service, which could not read the languages when it started, and soon looks again."""
    monkeypatch.setattr(composition, "_RETRY_S", 0.1)
    aws.fail("translate:ListLanguages", Fault.DENIED)
    app = TranslationApp(config)
    await app.start()
    yield app
    await app.aclose()


async def test_a_sentence_is_translated_and_spoken(owner: "Owner", aws: "AwsLocal") -> None:
    """Languages side by side, a glossary through placeholders, and a voice where there is one."""
    await owner.open(Quokka={"es": "Cuoca"})
    await owner.segment(1, "The quokka sleeps.", "es", "ja", speak=True)
    answers = [await owner.read() for _ in range(4)]
    texts = {a.translation.language: a.translation.text for a in answers if a.HasField("translation")}
    assert texts == {"es": "Es: The Cuoca sleeps.", "ja": "Ja: The quokka sleeps."}
    (speech,) = [answer.speech for answer in answers if answer.HasField("speech")]
    assert (speech.language, speech.sample_rate_hz) == ("es", 16_000)
    assert speech.duration_ms > 500
    (failure,) = [answer.failure for answer in answers if answer.HasField("failure")]
    assert (failure.language, failure.component) == ("ja", pb.COMPONENT_SPEECH)
    answers += await owner.end()
    told = {(use.component, use.engine, use.language): use for answer in answers for use in answer.usage}
    assert told.keys() == {
        (pb.COMPONENT_TRANSLATION, "amazon", "es"),
        (pb.COMPONENT_TRANSLATION, "amazon", "ja"),
        (pb.COMPONENT_SPEECH, "polly-standard", "es"),
    }
    spoken = told[pb.COMPONENT_SPEECH, "polly-standard", "es"]
    assert spoken.characters == len(texts["es"])
    assert spoken.cost_usd == pytest.approx(4e-6 * len(texts["es"]))


@pytest.mark.parametrize(("config", "count"), [("auto", 1), ("never", 1), ("always", 2)], indirect=["config"])
async def test_partial_segments_cost_nothing_unless_asked_for(owner: "Owner", count: int) -> None:
    """Every character has its price, so that none is translated before its sentence is final."""
    await owner.open()
    await owner.segment(1, "The quokka", "es", final=False)
    if count > 1:
        assert not (await owner.read()).translation.is_final
    await owner.segment(1, "The quokka sleeps.", "es")
    answers = await owner.end()
    assert [answer.translation.text for answer in answers] == ["Es: The quokka sleeps."]


async def test_a_failing_language_leaves_the_others(owner: "Owner", aws: "AwsLocal") -> None:
    """The sentence fails for one language, and its next sentence works."""
    await owner.open()
    aws.fail("translate:TranslateText", Fault.DENIED)
    await owner.segment(1, "One.", "es")
    failure = (await owner.read()).failure
    assert (failure.language, failure.reason) == ("es", ErrorCode.SERVICE_UNAVAILABLE)
    await owner.segment(2, "Two.", "es", "pt")
    assert await owner.texts(["es", "pt"]) == {"es": "Es: Two.", "pt": "Pt: Two."}
    await owner.end()


async def test_premium_sessions_get_neural_voices(stub: "Stub", aws: "AwsLocal") -> None:
    """The tier of the session decides on the engine."""
    call = stub.StreamingTranslate(timeout=60)
    config = pb.StreamConfig(session_id="s", source_language="en", quality_tier="premium")
    target = pb.Target(language="es", speak=True)
    segment = pb.Segment(segment=1, revision=1, text="Hello.", is_final=True, targets=[target])
    await call.write(pb.StreamingTranslateRequest(config=config))
    await call.write(pb.StreamingTranslateRequest(segment=segment))
    await call.write(pb.StreamingTranslateRequest(end=pb.EndOfSegments()))
    answers = [answer async for answer in call]
    assert answers[-1].HasField("ended")
    assert [asked["Engine"] for name, asked in aws.asked if name == "polly:SynthesizeSpeech"] == ["neural"]


async def test_health_waits_for_the_languages(late_app: TranslationApp) -> None:
    """Without a list of languages nothing can be served; it is read again until it is there."""
    async with open_channel(f"127.0.0.1:{late_app.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        states = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE_NAME), timeout=30)
        async for state in states:
            if state.status == health_pb2.HealthCheckResponse.SERVING:
                break
        states.cancel()
    assert "es" in late_app.interpreter.targets("en")
