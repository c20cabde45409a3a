"""A collector of traces within the test, and the trees that spans make."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as api
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

COME_WITHIN_S = 30.0


@dataclass(frozen=True)
class Seen:
    """One span."""

    name: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, str]
    failed: str
    """What its status says, "" when it is not an error."""
    links: tuple[str, ...]
    start_ns: int
    end_ns: int

    @property
    def label(self) -> str:
        """Its name, and what kind of message it is about."""
        kind = self.attributes.get("babelcast.kind", "")
        return f"{self.name} {kind}".strip()


@dataclass
class Spans(rpc.TraceServiceServicer):
    """Everything that was exported."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def Export(  # noqa: N802 - named by the contract
        self, request: api.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> api.ExportTraceServiceResponse:
        self.raw.append(str(request))
        for resource in request.resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.seen += [_seen(span, service) for span in scope.spans]
        async with self._came:
            self._came.notify_all()
        return api.ExportTraceServiceResponse()

    @property
    def environ(self) -> dict[str, str]:
        """For processes that are to export here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "true",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    async def until(self, enough: Callable[[Iterable[Seen]], bool]) -> list[Seen]:
        """All spans, once there are enough of them or it took too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COME_WITHIN_S), self._came:
                await self._came.wait_for(lambda: enough(self.seen))
        return list(self.seen)

    async def has(self, *paths: str) -> list[Seen]:
        """All spans, once these ways from a root are among them."""
        return await self.until(lambda seen: set(paths) <= set(ways(seen)))


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[Spans]:
    """An OTLP collector on any port."""
    spans = Spans()
    server = grpc.aio.server()
    rpc.add_TraceServiceServicer_to_server(spans, server)  # type: ignore[no-untyped-call]
    spans.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield spans
    finally:
        await server.stop(0)


def ways(spans: Iterable[Seen]) -> dict[str, list[Seen]]:
    """Spans by their way from the first of their trace: "a > b > c". One whose parent is not there, as those
    of a client, begins anew.
    """
    known = {(span.trace_id, span.span_id): span for span in spans}
    found: dict[str, list[Seen]] = {}
    for span in known.values():
        labels = [span.label]
        above = known.get((span.trace_id, span.parent_id))
        while above is not None:
            labels.append(above.label)
            above = known.get((above.trace_id, above.parent_id))
        found.setdefault(" > ".join(reversed(labels)), []).append(span)
    return found


def _seen(span: trace_pb2.Span, service: str) -> Seen:
    failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    return Seen(
        name=span.name,
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        failed=span.status.message if failed else "",
        links=tuple(link.trace_id.hex() for link in span.links),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return {pair.key: str(getattr(pair.value, pair.value.WhichOneof("value") or "")) for pair in pairs}
