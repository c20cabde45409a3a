"""Whether what was measured over time stayed as it was."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load.figures import Second
from bench.load.histogram import Histogram
from bench.soak.memory import Memory

WARM_UP_SHARE = 0.2
"""Of the talk, that does not count: caches fill, engines take their arenas."""
MEMORY_SHARE = 0.05
SMALL_BYTES = 2_000_000
"""A process may grow by so much, however small it is."""
LAG_SHARE, LAG_MS = 0.10, 100.0
LATE_SHARE, LATE_MS = 0.20, 400.0
"""p95 rests on a twentieth of the voices."""


@dataclass(frozen=True, slots=True)
class Change:
    """A measure at first, at last, and at most how much it may be at last."""

    name: str
    first: float
    last: float
    limit: float

    @property
    def flat(self) -> bool:
        """Whether it is within."""
        return self.last <= self.limit

    @property
    def growth(self) -> float:
        """As a share of the first."""
        return self.last / self.first - 1 if self.first else 0.0


def memory(measured: Memory, *, begun_s: float, ended_s: float) -> list[Change]:
    """Of all processes together, then of each that was there throughout: the median of the first third after
    the warm-up against that of the last third. Times are those of the samples.
    """
    warm_s = begun_s + WARM_UP_SHARE * (ended_s - begun_s)
    changes = [_bytes("all processes", _thirds(measured.total, warm_s, ended_s), at_least=0)]
    for grown in measured.processes.values():
        # some are there only while there is work, and others come and go by design
        if grown.samples[0][0] <= warm_s and grown.samples[-1][0] >= ended_s:
            thirds = _thirds(grown.samples, warm_s, ended_s)
            changes.append(_bytes(f"{grown.name} ({grown.pid})", thirds, at_least=SMALL_BYTES))
    return changes


def lag(course: Sequence[Second], *, begun_s: float, ended_s: float) -> list[Change]:
    """The first third of the talk against the last: voices and first captions, ms."""
    third_s = (ended_s - begun_s) / 3
    first = [point for point in course if begun_s <= point.at_s < begun_s + third_s]
    last = [point for point in course if ended_s - third_s <= point.at_s]
    changes = []
    for name, kind in (("voice", "voice"), ("first caption", "caption")):
        ends = [_together([getattr(point, kind) for point in points]) for points in (first, last)]
        for share, label, grows, ms in (
            (0.5, "median", LAG_SHARE, LAG_MS),
            (0.95, "p95", LATE_SHARE, LATE_MS),
        ):
            before, after = (end.percentile(share) for end in ends)
            changes.append(Change(f"{name}, {label}, ms", before, after, before + max(grows * before, ms)))
    return changes


def faults(changes: Sequence[Change]) -> list[str]:
    """What was not flat, one line each; a measure that there is none of is not."""
    return [
        f"{change.name} went from {change.first:,.1f} to {change.last:,.1f} ({change.growth:+.1%}); "
        f"at most {change.limit:,.1f} is flat"
        for change in changes
        if not change.flat
    ]


def _bytes(name: str, thirds: tuple[float, float], *, at_least: int) -> Change:
    first, last = (third / 1e6 for third in thirds)
    return Change(f"{name}, MB", first, last, first + max(MEMORY_SHARE * first, at_least / 1e6))


def _thirds(samples: Sequence[tuple[float, int]], begun_s: float, ended_s: float) -> tuple[float, float]:
    third_s = (ended_s - begun_s) / 3
    first = [size for at_s, size in samples if begun_s <= at_s <= begun_s + third_s]
    last = [size for at_s, size in samples if ended_s - third_s <= at_s <= ended_s]
    return _median(first), _median(last)


def _median(sizes: Sequence[int]) -> float:
    return statistics.median(sizes) if sizes else float("nan")


def _together(histograms: Sequence[Histogram]) -> Histogram:
    whole = Histogram()
    for histogram in histograms:
        whole.merge(histogram)
    return whole
