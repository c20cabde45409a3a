"""Where metrics go: to the collector that the environment names, and to whoever scrapes."""

import contextlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Final

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import CardinalityLimits, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry

from babelcast.config import load
from babelcast.telemetry import catalogue, zeros
from babelcast.telemetry.config import TelemetryConfig
from babelcast.telemetry.scrape import Endpoint

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
END_WITHIN_S: Final = 3.0
"""How long the last export may take: who is told to stop does not wait for a collector that is away."""
MAX_SERIES: Final = 300
"""Of one instrument; more are added up in one with `otel_metric_overflow`."""

_LIMITS: Final[CardinalityLimits] = dict.fromkeys(
    (
        sdk.Counter,
        sdk.Histogram,
        sdk.ObservableCounter,
        sdk.ObservableGauge,
        sdk.UpDownCounter,
        sdk._Gauge,
    ),
    MAX_SERIES,
)


def configure(*, service: str, environ: Mapping[str, str]) -> Callable[[], None]:
    """Export metrics to the collector named by OTEL_EXPORTER_OTLP_ENDPOINT and serve them on METRICS_BIND,
    whichever are set.

    Returns what flushes and ends the export, within END_WITHIN_S. For composition roots only, once in a
    process.

    Raises: ConfigError; ServiceUnavailable when the address of METRICS_BIND is taken.
    """
    config = load(TelemetryConfig, environ)
    with contextlib.ExitStack() as stack:
        readers: list[MetricReader] = []
        if config.metrics_bind:
            registry = CollectorRegistry()
            readers.append(scraped(registry))
            endpoint = Endpoint(config.metrics_bind, registry)
            stack.callback(endpoint.close)
        if config.otel_exporter_otlp_endpoint:
            readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(), cardinality_limits=_LIMITS))
        if readers:
            provider = provide(readers, service=service)
            stack.callback(provider.shutdown, timeout_millis=1000 * END_WITHIN_S)
            metrics.set_meter_provider(provider)
            zeros.begin(service)
        return stack.pop_all().close


def scraped(registry: CollectorRegistry) -> MetricReader:
    """What `registry` collects from: plain names, without labels for the library that made them."""
    return PrometheusMetricReader(scope_info_enabled=False, registry=registry, cardinality_limits=_LIMITS)


def provide(readers: list[MetricReader], *, service: str) -> MeterProvider:
    """What instruments tell. Attributes that the catalogue does not know are left out. So are exemplars:
    tasks that go on keep the span in which they began, and would tell that of all that comes later.
    """
    return MeterProvider(
        readers,
        exemplar_filter=sdk.AlwaysOffExemplarFilter(),
        resource=Resource.create({"service.name": service, "service.version": version("babelcast")}),
        views=[View(instrument_name="*", attribute_keys=catalogue.attributes())],
    )
