"""What the stamps and the samples say. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.speakers.probe import Passages
from bench.speakers.talks import Spoken

P99_MS = 50.0
"""The most that a gateway may add to a chunk, or to a result, in 99 of 100."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of times, ms; NaN when there are none."""

    count: int
    median: float
    p99: float
    most: float

    @classmethod
    def of(cls, times_s: Iterable[float]) -> "Percentiles":
        """By nearest rank."""
        ordered = sorted(times_s)
        if not ordered:
            return cls(0, math.nan, math.nan, math.nan)
        ranks = [math.ceil(share * len(ordered)) - 1 for share in (0.5, 0.99, 1.0)]
        return cls(len(ordered), *(1000 * ordered[rank] for rank in ranks))


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is told."""

    speakers: int
    exact: int
    problems: Sequence[str]
    cpu_us: Mapping[str, float]
    """CPU of the gateway for a chunk, by stage, µs."""
    cores: Mapping[str, float]
    """Cores that each process used."""
    passage: Percentiles
    """From the speaker's call to gRPC's having taken the chunk."""
    inside: Percentiles
    """The part of it from the pipeline on."""
    results: Percentiles
    lag: Percentiles

    @classmethod
    def of(cls, talks: Sequence[Spoken], passages: Passages, *, used_s: Mapping[str, float]) -> "Figures":
        """Of the talks, and what the probe saw of them."""
        by_session = {spoken.session: spoken.stamps_s for spoken in talks}
        return cls(
            speakers=len(talks),
            exact=sum(spoken.exact for spoken in talks),
            problems=[problem for spoken in talks for problem in spoken.problems],
            cpu_us={stage: 1e6 * taken / max(1, passages.chunks) for stage, taken in passages.cpu_s.items()},
            cores={name: taken / passages.seconds for name, taken in used_s.items()},
            passage=Percentiles.of(_delays(by_session, passages)),
            inside=Percentiles.of(_delays(passages.fed, passages)),
            results=Percentiles.of(passages.results_s),
            lag=Percentiles.of(passages.lags_s),
        )

    @property
    def kept(self) -> bool:
        """Whether all text is exact, and the gateway adds no more than it may."""
        return self.exact == self.speakers and max(self.passage.p99, self.results.p99) <= P99_MS

    def data(self) -> dict[str, object]:
        """As data."""
        times = {name: getattr(self, name) for name in ("passage", "inside", "results", "lag")}
        return {
            "speakers": self.speakers,
            "exact": self.exact,
            "cpu_us_per_chunk": dict(self.cpu_us),
            "cores": dict(self.cores),
            "ms": {
                name: {"p50": found.median, "p99": found.p99, "max": found.most}
                for name, found in times.items()
            },
        }


def table(figures: Figures) -> str:
    """As Markdown."""
    total = sum(figures.cpu_us.values())
    lines = [
        f"{figures.speakers} speakers, {figures.exact} with exact text everywhere, "
        f"{len(figures.problems)} problems",
        *(f"- {count} × {problem}" for problem, count in Counter(figures.problems).most_common(3)),
        "",
        "| CPU of the gateway for a chunk of 100 ms | µs |",
        "| --- | --- |",
        *(f"| {stage} | {taken:.0f} |" for stage, taken in sorted(figures.cpu_us.items(), key=_by_cost)),
        f"| **all** | **{total:.0f}** |",
        "",
        "| process | cores |",
        "| --- | --- |",
        *(f"| {name} | {cores:.2f} |" for name, cores in figures.cores.items()),
        "",
        "| ms | median | p99 | most | of |",
        "| --- | --- | --- | --- | --- |",
        _row("speaker's call to gRPC has the chunk", figures.passage),
        _row("pipeline to gRPC has the chunk", figures.inside),
        _row("result to the speaker's frame", figures.results),
        _row("event loop late by", figures.lag),
    ]
    return "\n".join(lines)


def _by_cost(entry: tuple[str, float]) -> float:
    return -entry[1]


def _row(name: str, found: Percentiles) -> str:
    return f"| {name} | {found.median:.1f} | {found.p99:.1f} | {found.most:.1f} | {found.count} |"


def _delays(begins: Mapping[str, Sequence[float]], passages: Passages) -> list[float]:
    """Of each chunk of the measurement. Where a client put two together, all after them count as later than
    they were.
    """
    return [
        end - begin
        for session, stamps in passages.sent.items()
        for begin, end in zip(begins.get(session, ()), stamps, strict=False)
        if begin >= passages.began_s
    ]
