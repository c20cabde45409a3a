"""What telemetry can be told."""

from dataclasses import dataclass

from babelcast.config import setting


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    """Where metrics can be had. What is exported by OTLP is told by OpenTelemetry's own variables."""

    metrics_bind: str = setting(
        "",
        "Address of the Prometheus endpoint, `/metrics`, host:port; none when empty. Of several gateway "
        "processes the first listens on the next port, and so on.",
    )
    otel_exporter_otlp_endpoint: str = setting("", "Collector that metrics are sent to; none when empty.")
