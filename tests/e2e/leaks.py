"""Secrets that are planted, and what finds them again: in processes' output and in exported telemetry."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_rpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_rpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_rpc

LONG = 16
"""So many characters of a secret in a row are too many."""


@dataclass
class Planted:
    """Secrets of which no long part may be seen, and words that may not be seen whole, by what they are."""

    secrets: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def web_token(self, name: str, token: str) -> str:
        """Plant a JWT; its header says nothing about anybody."""
        _, _, self.secrets[name] = token.partition(".")
        return token

    def opaque(self, name: str, secret: str) -> str:
        """Plant any other secret."""
        self.secrets[name] = secret
        return secret

    def word(self, name: str, word: str) -> str:
        """Plant an address, a name or a sentence."""
        self.words[name] = word
        return word

    def seen_in(self, output: str) -> set[str]:
        """The names of what can be read in an output, as it is or in hexadecimal."""
        found = {name for name, word in self.words.items() if word in output}
        pieces = {output[at : at + LONG] for at in range(len(output) - LONG + 1)}
        flat = output.replace(" ", "").lower()
        for name, secret in self.secrets.items():
            parts = {secret[at : at + LONG] for at in range(len(secret) - LONG + 1)}
            if parts & pieces or secret[:LONG].encode().hex() in flat:
                found.add(name)
        return found


@dataclass
class Collector(
    logs_rpc.LogsServiceServicer, metrics_rpc.MetricsServiceServicer, trace_rpc.TraceServiceServicer
):
    """Keeps everything that is exported to it, as text."""

    port: int = 0
    exported: list[str] = field(default_factory=list)

    def Export(self, request: Message, context: grpc.ServicerContext) -> Message:  # noqa: N802 - by contract
        self.exported.append(str(request))
        answers: Mapping[type[Message], type[Message]] = {
            logs.ExportLogsServiceRequest: logs.ExportLogsServiceResponse,
            metrics.ExportMetricsServiceRequest: metrics.ExportMetricsServiceResponse,
            trace.ExportTraceServiceRequest: trace.ExportTraceServiceResponse,
        }
        return answers[type(request)]()

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.exported)


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """An OTLP collector on any port for metrics, traces and logs."""
    collector = Collector()
    server = grpc.aio.server()
    logs_rpc.add_LogsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    metrics_rpc.add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    trace_rpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)


def verbose(collector: Collector) -> dict[str, str]:
    """The environment of a process that tells all it can."""
    return {
        "LOG_LEVEL": "DEBUG",
        "PYTHONDEVMODE": "1",  # asyncio's debug mode and all warnings
        "GRPC_VERBOSITY": "DEBUG",
        "GRPC_TRACE": "http,call_error",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "TRUSTED_PROXIES": "127.0.0.1/32",
    }


def records(output: Path) -> Iterator[dict[str, object]]:
    """The log records in an output; C libraries write lines of their own between them."""
    for line in output.read_text().splitlines():
        if line.startswith("{"):
            yield json.loads(line)
