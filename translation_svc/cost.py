"""What engines did for whom: counted where they are asked, told to each stream's owner, and as metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from babelcast.prices import Prices
from babelcast.telemetry.instruments import (
    COMPONENT,
    ENGINE,
    ENGINE_CHARACTERS,
    ENGINE_COST,
    LANGUAGE,
)
from translation_svc.segments import Component


@dataclass(frozen=True, slots=True)
class Use:
    """Work of an engine: characters that it charges for."""

    component: Component
    engine: str
    language: str
    """What came out."""
    characters: int


Tally: TypeAlias = Callable[[Use], None]
"""Is told of work as soon as it is done."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The work of one engine for one language, and what it cost, US dollars."""

    use: Use
    cost_usd: float


def uncounted(use: Use) -> None:
    """Count nothing."""


class Meter:
    """Adds one stream's uses up until they are told, and all streams' as metrics."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._untold: dict[tuple[Component, str, str], int] = {}

    def take(self, use: Use) -> None:
        """Count one use; nothing of none."""
        if not use.characters:
            return
        key = (use.component, use.engine, use.language)
        self._untold[key] = self._untold.get(key, 0) + use.characters
        attributes = {COMPONENT: use.component.value, ENGINE: use.engine, LANGUAGE: use.language}
        ENGINE_CHARACTERS.add(use.characters, attributes)
        ENGINE_COST.add(self._cost(use), attributes)

    def drain(self) -> list[Usage]:
        """What was counted since the last time."""
        untold, self._untold = self._untold, {}
        uses = (Use(*key, characters) for key, characters in untold.items())
        return [Usage(use, self._cost(use)) for use in uses]

    def _cost(self, use: Use) -> float:
        return self._prices.usd(use.component.value, use.engine, use.characters)
