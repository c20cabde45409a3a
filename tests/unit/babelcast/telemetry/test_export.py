"""Where metrics go."""

import asyncio
import socket
import time
import urllib.request

import grpc
import pytest
from opentelemetry import metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as otlp
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as otlp_grpc
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import use_span

from babelcast.config import ConfigError
from babelcast.telemetry import export, instruments, sampling, tracing
from tests.nats_server import free_port
from tests.traced import recording


class Collector(otlp_grpc.MetricsServiceServicer):
    """Keeps what is exported to it."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.services: set[str] = set()

    def Export(  # noqa: N802 - named by the contract
        self, request: otlp.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> otlp.ExportMetricsServiceResponse:
        for resource in request.resource_metrics:
            self.services |= {pair.value.string_value for pair in resource.resource.attributes}
            self.names |= {metric.name for scope in resource.scope_metrics for metric in scope.metrics}
        return otlp.ExportMetricsServiceResponse()


def test_nothing_is_exported_unless_told() -> None:
    """Without a collector there is nothing to end, and instruments do nothing."""
    export.configure(service="test", environ={})()
    instruments.RATE_LIMITS_SKIPPED.add(1, {instruments.LIMIT: "new sessions"})


async def test_metrics_reach_a_collector_and_scrapers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted comes out under its name and the service's, at the latest when that ends, and can
    be scraped meanwhile.
    """
    collector = Collector()
    server = grpc.aio.server()
    otlp_grpc.add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    monkeypatch.setenv(export.ENDPOINT, f"http://127.0.0.1:{port}")
    provided: list[metrics.MeterProvider] = []
    monkeypatch.setattr(metrics, "set_meter_provider", provided.append)
    scraped = free_port()
    environ = {export.ENDPOINT: "set", "METRICS_BIND": f"127.0.0.1:{scraped}"}
    end = export.configure(service="session_svc", environ=environ)
    provided[0].get_meter("babelcast").create_counter("babelcast.session.rate_limits_skipped").add(1)
    url = f"http://127.0.0.1:{scraped}/metrics"
    with await asyncio.to_thread(urllib.request.urlopen, url, timeout=5) as answer:
        page = answer.read().decode()
    await asyncio.to_thread(end)
    await server.stop(0)
    assert "babelcast_session_rate_limits_skipped_total 1.0" in page
    assert 'service_name="session_svc"' in page
    assert collector.names == {"babelcast.session.rate_limits_skipped"}
    assert "session_svc" in collector.services
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", scraped), timeout=5)


def test_a_wrong_address_ends_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that cannot be scraped where it should does not start, and says which variable is wrong."""
    monkeypatch.setattr(metrics, "set_meter_provider", lambda _: pytest.fail("it was configured"))
    with pytest.raises(ConfigError, match="METRICS_BIND"):
        export.configure(service="gateway", environ={"METRICS_BIND": "everywhere"})


def test_a_silent_collector_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends gives its last metrics and spans up when nobody takes them."""
    monkeypatch.setattr(metrics, "set_meter_provider", lambda _: None)
    monkeypatch.setattr(export, "END_WITHIN_S", 0.2)
    monkeypatch.setattr(sampling, "END_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv(export.ENDPOINT, url)
        environ = {export.ENDPOINT: url, sampling.SAMPLER: "always_on"}
        end_metrics = export.configure(service="gateway", environ=environ)
        end_traces = sampling.configure(service="gateway", environ=environ)
        for _ in range(1000):  # more than one batch
            tracing.finish(tracing.begin("stage"))
        began_s = time.monotonic()
        end_traces()
        end_metrics()
        took_s = time.monotonic() - began_s
    assert took_s < 5


def test_numbers_carry_no_spans() -> None:
    """What is counted in a task that outlives the span it was started in is not of that span."""
    reader = InMemoryMetricReader()
    counter = export.provide([reader], service="test").get_meter("test").create_counter("test")
    with recording():
        span = tracing.begin("stage")
        with use_span(span):
            span.end()
            counter.add(1)
    data = reader.get_metrics_data()
    assert data is not None
    [point] = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert not point.exemplars
