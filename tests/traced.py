"""Spans recorded within a test."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from babelcast.telemetry import tracing


class Recorded:
    """The spans that have ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def spans(self) -> list[ReadableSpan]:
        """In the order of their ends."""
        return list(self._exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        """Theirs."""
        return [span.name for span in self.spans]

    def only(self, name: str) -> ReadableSpan:
        """The one with a name."""
        (span,) = (span for span in self.spans if span.name == name)
        return span


@contextmanager
def recording(sampler: Sampler = ALWAYS_ON) -> Iterator[Recorded]:
    """Trace for as long as the block lasts."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler, id_generator=tracing.Ids(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    restore = tracing.install(provider)
    try:
        yield Recorded(exporter)
    finally:
        restore()
        provider.shutdown()


def traceparent_of(span: ReadableSpan) -> str:
    """How others would call a span."""
    assert span.context is not None
    return tracing.written(span.context)


def parent_of(span: ReadableSpan) -> int:
    """The id of the span above; 0 for none."""
    return 0 if span.parent is None else span.parent.span_id
