"""Where metrics go: to the collector that the environment names."""

from collections.abc import Callable, Mapping

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def configure(*, service: str, environ: Mapping[str, str]) -> Callable[[], None]:
    """Export metrics to the collector named by OTEL_EXPORTER_OTLP_ENDPOINT, if one is.

    Returns what flushes and ends the export. For composition roots only.
    """
    if not environ.get(ENDPOINT):
        return _nothing
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    provider = MeterProvider([reader], resource=Resource.create({"service.name": service}))
    metrics.set_meter_provider(provider)
    return provider.shutdown


def _nothing() -> None:
    """No export, nothing to end."""
