"""Which traces are recorded, and where they go, by OpenTelemetry's own environment variables."""

import threading
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from babelcast.config import ConfigError
from babelcast.telemetry import tracing
from babelcast.telemetry.export import END_WITHIN_S

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER = "OTEL_TRACES_EXPORTER"
SAMPLER = "OTEL_TRACES_SAMPLER"
ARGUMENT = "OTEL_TRACES_SAMPLER_ARG"
DISABLED = "OTEL_SDK_DISABLED"
DEFAULT_RATIO = 0.05
"""Sessions that are traced unless the environment says otherwise."""


class OrAskedFor(Sampler):
    """Another sampler, and traces that a speaker asked for."""

    def __init__(self, inner: Sampler) -> None:
        self._inner = inner

    def should_sample(  # noqa: PLR0917 - OpenTelemetry's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """By the id's last 64 bits."""
        if not trace_id & (1 << 64) - 1:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        return self._inner.should_sample(parent_context, trace_id, name, kind, attributes, links)

    def get_description(self) -> str:
        """Its name."""
        return f"OrAskedFor{{{self._inner.get_description()}}}"


def sampler(environ: Mapping[str, str]) -> Sampler:
    """What OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG ask for: parentbased_traceidratio with
    DEFAULT_RATIO if nothing.

    Raises: ConfigError.
    """
    name = environ.get(SAMPLER) or "parentbased_traceidratio"
    kinds: Mapping[str, Callable[[], Sampler]] = {
        "always_on": lambda: ALWAYS_ON,
        "always_off": lambda: ALWAYS_OFF,
        "traceidratio": lambda: TraceIdRatioBased(_ratio(environ)),
    }
    inner = kinds.get(name.removeprefix("parentbased_"))
    if inner is None:
        raise ConfigError(f"{SAMPLER}: there is no sampler {name!r}.")
    return ParentBased(OrAskedFor(inner())) if name.startswith("parentbased_") else inner()


def _ratio(environ: Mapping[str, str]) -> float:
    text = environ.get(ARGUMENT) or str(DEFAULT_RATIO)
    try:
        ratio = float(text)
    except ValueError as error:
        raise ConfigError(f"{ARGUMENT}: {text!r} is no number.") from error
    if not 0.0 <= ratio <= 1.0:
        raise ConfigError(f"{ARGUMENT}: must be from 0 to 1.")
    return ratio


def configure(*, service: str, environ: Mapping[str, str]) -> Callable[[], None]:
    """Export traces to the collector that the environment names, if one is.

    Returns what flushes and ends the export, within END_WITHIN_S. For composition roots only. Raises:
    ConfigError.
    """
    chosen = sampler(environ)
    wanted = any(environ.get(name) for name in ENDPOINTS)
    off = environ.get(EXPORTER, "").lower() == "none" or environ.get(DISABLED, "").lower() == "true"
    if not wanted or off:
        return _nothing
    provider = TracerProvider(
        chosen,
        Resource.create({"service.name": service}),
        id_generator=tracing.Ids(),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    restore = tracing.install(provider)

    def end() -> None:
        restore()
        late = threading.Timer(END_WITHIN_S, exporter.shutdown)  # what it still tries to send fails then
        late.daemon = True
        late.start()
        provider.shutdown()
        late.cancel()

    return end


def _nothing() -> None:
    """No export, nothing to end."""
