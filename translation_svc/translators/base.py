"""The port of translation engines."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

from translation_svc.turns import Urgency


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """A direction of translation, ISO 639-1 codes."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine takes, and what it costs."""

    takes_context: bool = False
    """Whether the sentence before helps it. Mozilla's models, Apertium and Amazon Translate take none."""
    is_charged: bool = False
    """Whether every character has its price."""


class Translator(Protocol):
    """An engine with some directions.

    It gets one sentence of at most MAX_WORDS words at a time, with a capital and a final mark, and keeps
    placeholders (`Xq1`) as they are.
    """

    @property
    def name(self) -> str:
        """For logs, cache keys and routes."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """The same as long as it lives."""
        ...

    @property
    def pairs(self) -> Set[Pair]:
        """What is really installed."""
        ...

    async def warm(self, pair: Pair) -> None:
        """Load what the first sentence of `pair` would wait for. Raises: EngineFailure."""
        ...

    async def translate(self, text: str, pair: Pair, *, urgency: Urgency, context: str = "") -> str:
        """One sentence; `context` is the one before it, or empty. Raises: EngineFailure."""
        ...

    async def aclose(self) -> None:
        """End what runs; idempotent."""
        ...


MAX_WORDS = 100
"""Engines see no longer sentences: student models cut off or wander beyond their context."""
