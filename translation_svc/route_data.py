"""What steps cost and what whole routes were measured at: `routes.toml`."""

import functools
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from translation_svc.translators.base import Pair

USUAL_COST = 1.0
Cost = Annotated[float, msgspec.Meta(gt=0)]


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One engine's part of a route."""

    engine: str
    pair: Pair

    @classmethod
    def parse(cls, words: str) -> "Step":
        """A step as the data writes it: "bergamot en-pt"."""
        engine, _, direction = words.partition(" ")
        source, _, target = direction.partition("-")
        return cls(engine, Pair(source, target))


class StepCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a step costs that is not as its engine's others, in both directions."""

    engine: str
    between: tuple[str, str]
    cost: Cost


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole route and its quality, chrF from 0 to 100."""

    steps: tuple[str, ...]
    chrf: Annotated[float, msgspec.Meta(ge=0, le=100)]

    @property
    def route(self) -> tuple[Step, ...]:
        """The steps as values."""
        return tuple(map(Step.parse, self.steps))


class RouteData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"of_engines": "cost"}):
    """Costs, and the measures that they follow from."""

    of_engines: dict[str, Cost] = {}
    step: tuple[StepCost, ...] = ()
    measured: tuple[Measured, ...] = ()

    def cost(self, step: Step) -> float:
        """What a step costs."""
        for one in self.step:
            if one.engine == step.engine and {*one.between} == {step.pair.source, step.pair.target}:
                return one.cost
        return self.of_engines.get(step.engine, USUAL_COST)

    def chrf(self, route: Sequence[Step]) -> float | None:
        """What a route was measured at, if it was."""
        return next((one.chrf for one in self.measured if one.route == tuple(route)), None)


@functools.cache
def published() -> RouteData:
    """The data of the package."""
    text = importlib.resources.files("translation_svc").joinpath("routes.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=RouteData)
