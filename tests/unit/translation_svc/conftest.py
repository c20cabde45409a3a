"""Engines that do what a test says."""

import asyncio
from collections.abc import Callable, Iterable, Set

import pytest

from translation_svc.cache import Cache
from translation_svc.chain import Chain
from translation_svc.failures import EngineFailure
from translation_svc.interpreter import EngineInterpreter
from translation_svc.routes import Routes
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.translators.base import Capabilities, Pair
from translation_svc.turns import Urgency


class FakeTranslator:
    """Appends the target to each word of a text; can be held back, and can fail."""

    def __init__(self, name: str, pairs: Iterable[tuple[str, str]]) -> None:
        self.name = name
        self._pairs = frozenset(Pair(*pair) for pair in pairs)
        self.calls: list[tuple[str, Pair, Urgency]] = []
        self.contexts: list[str] = []
        self.capabilities = Capabilities()
        self.warmed: list[Pair] = []
        self.closed = False
        self.failures: dict[Pair, EngineFailure] = {}
        self.gates: dict[Pair, asyncio.Event] = {}
        self.answer: Callable[[str, Pair], str] = lambda text, pair: f"{pair.target}({text})"

    @property
    def pairs(self) -> Set[Pair]:
        return self._pairs

    async def warm(self, pair: Pair) -> None:
        self.warmed.append(pair)
        if pair in self.failures:
            raise self.failures[pair]

    async def translate(self, text: str, pair: Pair, *, urgency: Urgency, context: str = "") -> str:
        self.contexts.append(context)
        self.calls.append((text, pair, urgency))
        if pair in self.gates:
            await self.gates[pair].wait()
        if pair in self.failures:
            raise self.failures[pair]
        return self.answer(text, pair)

    async def aclose(self) -> None:
        self.closed = True


class FakeVoice:
    """One sample of sound a character; can fail and be held back."""

    languages = frozenset({"es", "pt", "fr"})

    def __init__(self) -> None:
        self.said: list[tuple[str, str, Prosody]] = []
        self.tiers: list[Tier] = []
        self.failure: EngineFailure | None = None
        self.gate: asyncio.Event | None = None

    def names(self, language: str) -> list[str]:
        return [f"fake-{language}"] if language in self.languages else []

    async def warm(self) -> None:
        return None

    async def speak(self, text: str, *, language: str, prosody: Prosody, tier: Tier = Tier.STANDARD) -> Clip:
        self.tiers.append(tier)
        self.said.append((language, text, prosody))
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Clip(b"\1\0" * 16 * len(text), 16_000, engine="fake", characters=len(text))

    async def aclose(self) -> None:
        return None


@pytest.fixture
def model() -> FakeTranslator:
    """A model from English into Portuguese."""
    return FakeTranslator("bergamot", [("en", "pt"), ("pt", "en")])


@pytest.fixture
def rules() -> FakeTranslator:
    """Rules from Portuguese into Spanish and on to French."""
    return FakeTranslator("apertium", [("pt", "es"), ("es", "fr")])


@pytest.fixture
def voice() -> FakeVoice:
    """A voice."""
    return FakeVoice()


@pytest.fixture
def chain(model: FakeTranslator, rules: FakeTranslator) -> Chain:
    """The chain of both translators, with its cache."""
    return Chain({"bergamot": model, "apertium": rules}, Cache(capacity=100, ttl_s=60))


@pytest.fixture
def interpreter(
    model: FakeTranslator, rules: FakeTranslator, voice: FakeVoice, chain: Chain
) -> EngineInterpreter:
    """The real interpreter over the fake engines."""
    routes = Routes.between({"bergamot": model.pairs, "apertium": rules.pairs})
    return EngineInterpreter(routes=routes, chain=chain, voice=voice)
