"""What instruments were told during a test. One provider serves the whole run: there is one to a process."""

import functools
from collections.abc import Mapping

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint

Series = tuple[str, frozenset[tuple[str, object]]]


@functools.cache
def _reader() -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


class Measured:
    """Counts what was told since it was made; of a histogram, how often and how much in all."""

    def __init__(self) -> None:
        self._before = self._read()

    def total(self, name: str, **labels: str) -> float:
        """What a counter went up by, over all series with these labels; of a histogram the sum."""
        return self._grown(name, labels, place=0)

    def times(self, name: str, **labels: str) -> int:
        """How often a histogram was told."""
        return int(self._grown(name, labels, place=1))

    def now(self, name: str, **labels: str) -> float:
        """A gauge as it is."""
        return sum(value[0] for series, value in self._read().items() if _fits(series, name, labels))

    def series(self) -> list[Series]:
        """All series that there are."""
        return list(self._read())

    def _grown(self, name: str, labels: Mapping[str, str], *, place: int) -> float:
        return sum(
            value[place] - self._before.get(series, (0.0, 0))[place]
            for series, value in self._read().items()
            if _fits(series, name, labels)
        )

    def _read(self) -> dict[Series, tuple[float, int]]:
        data = _reader().get_metrics_data()
        found: dict[Series, tuple[float, int]] = {}
        for resource in () if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        series = (metric.name, frozenset((point.attributes or {}).items()))
                        if isinstance(point, HistogramDataPoint):
                            found[series] = (point.sum, point.count)
                        elif isinstance(point, NumberDataPoint):
                            found[series] = (float(point.value), 1)
        return found


def _fits(series: Series, name: str, labels: Mapping[str, str]) -> bool:
    return series[0] == name and set(labels.items()) <= series[1]


@pytest.fixture
def measured() -> Measured:
    """What instruments are told from now on."""
    return Measured()
