"""A voice that is behind, with the real engines."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from babelcast.rpc.client import open_channel
from babelcast.translation.v1 import translation_pb2 as pb
from babelcast.translation.v1 import translation_pb2_grpc
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig

if TYPE_CHECKING:
    from tests.integration.translation_svc.conftest import Owner, Stub

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

TEXTS = (
    "We looked at the results of the last three years, and they are better than we had expected.",
    "That is good news.",
    "There are still some questions that nobody has answered, and today we are going to talk about them.",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[TranslationApp]:
    """One service for all tests here: loading the engines takes seconds."""
    app = TranslationApp(TranslationConfig(translation_bind="127.0.0.1:0", pico_for="nobody"))
    await app.start()
    yield app
    await app.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def stub(app: TranslationApp) -> AsyncIterator["Stub"]:
    """A client of it."""
    async with open_channel(f"127.0.0.1:{app.port}") as channel:
        yield translation_pb2_grpc.TranslationServiceStub(channel)


async def _segment(owner: "Owner", number: int, *, unplayed_ms: int = 0, ended_ago_ms: int = 500) -> None:
    target = pb.Target(language="es", speak=True, unplayed_ms=unplayed_ms)
    segment = pb.Segment(
        segment=number,
        revision=1,
        text=TEXTS[number],
        is_final=True,
        targets=[target],
        ended_ago_ms=ended_ago_ms,
    )
    await owner.send(segment=segment)


async def test_a_voice_that_is_behind_is_quicker(owner: "Owner", stub: "Stub") -> None:
    """The same sentence takes less time, and what comes right behind it is not left out."""
    await owner.open()
    await _segment(owner, 0)
    (usual,) = [answer.speech for answer in await owner.end() if answer.HasField("speech")]
    assert usual.pace < 1.1
    late = type(owner)(stub)
    await late.open()
    for number in range(2):
        await _segment(late, number, unplayed_ms=2_000, ended_ago_ms=600 - 100 * number)
    answers = await late.end()
    speeches = [answer.speech for answer in answers if answer.HasField("speech")]
    assert [number for speech in speeches for number in (speech.segment, *speech.merged)] == [0, 1]
    assert all(speech.pace > usual.pace for speech in speeches)
    assert [answer.translation.segment for answer in answers if answer.HasField("translation")] == [0, 1]
    if not speeches[0].merged:
        assert speeches[0].duration_ms < usual.duration_ms


async def test_a_voice_that_is_too_far_behind_is_left_out(owner: "Owner") -> None:
    """The text is there, and the marker in the place of the speech."""
    await owner.open()
    await _segment(owner, 1, unplayed_ms=9_000)
    answers = await owner.end()
    assert [answer.WhichOneof("payload") for answer in answers] == ["translation", "spoken_over"]
    assert (answers[1].spoken_over.segment, answers[1].spoken_over.language) == (1, "es")
