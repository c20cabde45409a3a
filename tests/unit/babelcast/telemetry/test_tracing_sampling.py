"""Which traces are recorded by the environment, and that they reach a collector."""

import asyncio

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc

from babelcast.config import ConfigError
from babelcast.telemetry import sampling, tracing
from tests.traced import recording

UNSAMPLED = tracing.parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
SAMPLED = tracing.parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
LOW, HIGH = 1 << 58, (1 << 64) - 1
"""A session that one in fifty is, and the last of all."""


class Collector(otlp_grpc.TraceServiceServicer):
    """Keeps what is exported to it."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.services: set[str] = set()

    def Export(  # noqa: N802 - named by the contract
        self, request: otlp.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> otlp.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            self.services |= {pair.value.string_value for pair in resource.resource.attributes}
            self.names |= {span.name for scope in resource.scope_spans for span in scope.spans}
        return otlp.ExportTraceServiceResponse()


@pytest.mark.parametrize(
    ("name", "argument", "low", "high", "sampled", "unsampled"),
    [
        ("", "", True, False, True, False),
        ("", "0", False, False, True, False),
        ("", "1", True, True, True, False),
        ("always_on", "", True, True, True, True),
        ("always_off", "", False, False, False, False),
        ("traceidratio", "1", True, True, True, True),
        ("parentbased_always_on", "", True, True, True, False),
        ("parentbased_always_off", "", False, False, True, False),
        ("parentbased_traceidratio", "0.02", True, False, True, False),
    ],
)
def test_the_environment_says_what_is_sampled(  # noqa: PLR0917 - a row of the table
    name: str, argument: str, low: bool, high: bool, sampled: bool, unsampled: bool
) -> None:
    """As OpenTelemetry names it: sessions of their own, and those that continue a client's trace."""
    chosen = sampling.sampler({sampling.SAMPLER: name, sampling.ARGUMENT: argument})
    with recording(chosen):
        assert tracing.is_sampled(LOW) is low
        assert tracing.is_sampled(HIGH) is high
        assert tracing.is_sampled(HIGH, parent=SAMPLED) is sampled
        assert tracing.is_sampled(HIGH, parent=UNSAMPLED) is unsampled
    assert chosen.get_description()


@pytest.mark.parametrize(
    "environ",
    [
        {sampling.SAMPLER: "sometimes"},
        {sampling.ARGUMENT: "many"},
        {sampling.ARGUMENT: "1.5"},
        {sampling.ARGUMENT: "nan"},
    ],
)
def test_a_wrong_setting_is_refused(environ: dict[str, str]) -> None:
    """By name, also without a collector."""
    with pytest.raises(ConfigError, match="OTEL_TRACES_SAMPLER"):
        sampling.configure(service="test", environ=environ)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_nothing_is_traced_unless_told(environ: dict[str, str]) -> None:
    """Without a collector, or with traces turned off."""
    sampling.configure(service="test", environ={**environ, sampling.SAMPLER: "always_on"})()
    assert not tracing.is_sampled(LOW)


async def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the service's name, at the latest when the service ends; after that nothing is traced."""
    collector = Collector()
    server = grpc.aio.server()
    otlp_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "set", sampling.SAMPLER: "always_on"}
    end = sampling.configure(service="session_svc", environ=environ)
    tracing.finish(tracing.begin("step"))
    await asyncio.to_thread(end)
    await server.stop(0)
    assert collector.names == {"step"}
    assert "session_svc" in collector.services
    assert not tracing.is_sampled(LOW)
