"""The service over real gRPC."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import pytest

from babelcast.rpc.client import open_channel
from babelcast.translation.v1 import translation_pb2 as pb
from babelcast.translation.v1 import translation_pb2_grpc
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig

if TYPE_CHECKING:
    Stub: TypeAlias = translation_pb2_grpc.TranslationServiceAsyncStub


class Owner:
    """A gateway's side of one stream."""

    def __init__(self, stub: "Stub") -> None:
        self.call = stub.StreamingTranslate(timeout=60)

    async def open(self, source: str = "en", **terms: dict[str, str]) -> None:
        """Send the config and wait for the start."""
        glossary = [pb.GlossaryEntry(term=term, translations=into) for term, into in terms.items()]
        await self.send(config=pb.StreamConfig(session_id="s", source_language=source, glossary=glossary))
        assert (await self.read()).HasField("started")

    async def send(self, **payload: object) -> None:
        """One request."""
        await self.call.write(pb.StreamingTranslateRequest(**payload))  # type: ignore[arg-type]

    async def segment(
        self,
        number: int,
        text: str,
        *languages: str,
        final: bool = True,
        speak: bool = False,
        opus: bool = False,
        prosody: pb.Prosody | None = None,
    ) -> None:
        """One segment."""
        targets = [pb.Target(language=language, speak=speak, opus=opus) for language in languages]
        await self.send(
            segment=pb.Segment(
                segment=number, revision=1, text=text, is_final=final, targets=targets, prosody=prosody
            )
        )

    async def read(self) -> pb.StreamingTranslateResponse:
        """The next answer."""
        answer = await self.call.read()
        assert isinstance(answer, pb.StreamingTranslateResponse), answer
        return answer

    async def texts(self, languages: Sequence[str]) -> dict[str, str]:
        """The texts of one segment, which all languages must get."""
        texts: dict[str, str] = {}
        while len(texts) < len(languages):
            answer = await self.read()
            assert answer.HasField("translation"), answer
            texts[answer.translation.language] = answer.translation.text
        return texts

    async def end(self) -> list[pb.StreamingTranslateResponse]:
        """Send the end; the answers up to `ended`, which comes last."""
        await self.send(end=pb.EndOfSegments())
        answers: list[pb.StreamingTranslateResponse] = []
        while not (answer := await self.read()).HasField("ended"):
            answers.append(answer)
        assert not isinstance(await self.call.read(), pb.StreamingTranslateResponse)
        return answers


@pytest.fixture
def config() -> TranslationConfig:
    """Defaults, on any free port."""
    return TranslationConfig(translation_bind="127.0.0.1:0", drain_seconds=5)


@pytest.fixture
async def app(config: TranslationConfig) -> AsyncIterator[TranslationApp]:
    """The whole service with the engines installed here."""
    app = TranslationApp(config)
    await app.start()
    yield app
    await app.aclose()


@pytest.fixture
async def stub(app: TranslationApp) -> AsyncIterator["Stub"]:
    """A client of it."""
    async with open_channel(f"127.0.0.1:{app.port}") as channel:
        yield translation_pb2_grpc.TranslationServiceStub(channel)


@pytest.fixture
def owner(stub: "Stub") -> Owner:
    """One stream's owner, not yet opened."""
    return Owner(stub)
