"""Which steps lead from one language to another."""

import heapq
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TypeAlias

from translation_svc.route_data import RouteData, Step, published
from translation_svc.translators.base import Pair

Route: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes between installed languages, cheapest first found.

    For one source they form a tree: two routes that part never meet again, so what they share is the same
    steps on the same text, which the cache does once.
    """

    by_source: Mapping[str, Mapping[str, Route]]

    @classmethod
    def between(cls, engines: Mapping[str, Set[Pair]], data: RouteData | None = None) -> "Routes":
        """The routes that the pairs of `engines` (by name) allow; costs are those of `routes.toml` if none
        are given.
        """
        data = data or published()
        steps = sorted(Step(name, pair) for name, pairs in engines.items() for pair in pairs)
        costs = {step: data.cost(step) for step in steps}
        sources = sorted({step.pair.source for step in steps})
        return cls({source: _cheapest(source, costs) for source in sources})

    @property
    def sources(self) -> Set[str]:
        """Languages that can be spoken."""
        return self.by_source.keys()

    def targets(self, source: str) -> list[str]:
        """Languages that `source` can be heard in, sorted."""
        return sorted(self.by_source.get(source, {}))

    def find(self, source: str, target: str) -> Route | None:
        """The steps from `source` to `target`, or None. From a language to itself: no steps."""
        return () if source == target else self.by_source.get(source, {}).get(target)

    def shared_steps(self, source: str) -> list[Step]:
        """The steps on the way to more than one target: worth starting before a target is known."""
        counts: dict[Step, int] = {}
        for route in self.by_source.get(source, {}).values():
            for step in route:
                counts[step] = counts.get(step, 0) + 1
        return [step for step, count in counts.items() if count > 1]


def _cheapest(source: str, costs: Mapping[Step, float]) -> dict[str, Route]:
    """Dijkstra's shortest paths; of equals the lesser sequence of steps, always the same."""
    leaving: dict[str, list[Step]] = {}
    for step in costs:
        leaving.setdefault(step.pair.source, []).append(step)
    found: dict[str, Route] = {}
    cheapest: dict[str, float] = {source: 0.0}  # spares an engine of all pairs most of its combinations
    open_ends: list[tuple[float, Route, str]] = [(0.0, (), source)]
    while open_ends:
        cost, route, language = heapq.heappop(open_ends)
        if language in found:
            continue
        found[language] = route
        for step in leaving.get(language, ()):
            further = cost + costs[step]
            if further > cheapest.setdefault(step.pair.target, further):
                continue
            cheapest[step.pair.target] = further
            heapq.heappush(open_ends, (further, (*route, step), step.pair.target))
    del found[source]
    return found


__all__ = ["Route", "Routes", "Step"]
