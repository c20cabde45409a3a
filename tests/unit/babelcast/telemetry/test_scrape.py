"""The Prometheus endpoint."""

import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import Metric

from babelcast.config import ConfigError
from babelcast.errors import ServiceUnavailable
from babelcast.telemetry import scrape
from babelcast.telemetry.scrape import Endpoint, next_bind, read_bind


@pytest.fixture
def registry() -> CollectorRegistry:
    """One gauge."""
    made = CollectorRegistry()
    Gauge("babelcast_test", "A test.", registry=made).set(7)
    return made


@pytest.fixture
def endpoint(registry: CollectorRegistry) -> Iterator[Endpoint]:
    """Its page, on any port."""
    made = Endpoint("127.0.0.1:0", registry)
    yield made
    made.close()


def page(port: int, path: str = "/metrics") -> str:
    """What a scraper gets."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        body: bytes = answer.read()
    return body.decode()


def test_metrics_are_on_one_page(endpoint: Endpoint) -> None:
    """The page shows them as they are, also with parameters; there is nothing else."""
    assert "babelcast_test 7.0" in page(endpoint.port)
    assert "babelcast_test 7.0" in page(endpoint.port, "/metrics?name=x")
    with pytest.raises(urllib.error.HTTPError) as refused:
        page(endpoint.port, "/")
    assert refused.value.code == 404
    refused.value.close()


def test_ipv6_can_be_listened_on(registry: CollectorRegistry) -> None:
    """An address in brackets is one of IPv6."""
    endpoint = Endpoint("[::1]:0", registry)
    connection = http.client.HTTPConnection("::1", endpoint.port, timeout=5)
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 200
    connection.close()
    endpoint.close()


def test_a_taken_address_is_said(endpoint: Endpoint, registry: CollectorRegistry) -> None:
    """Two processes cannot be scraped at one address."""
    with pytest.raises(ServiceUnavailable, match="metrics"):
        Endpoint(f"127.0.0.1:{endpoint.port}", registry)


def test_nobody_is_asked_for_a_name(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without DNS starts at once."""
    monkeypatch.setattr(socket, "getfqdn", lambda _: pytest.fail("DNS was asked"))
    Endpoint("127.0.0.1:0", registry).close()


def test_nothing_is_there_once_closed(registry: CollectorRegistry) -> None:
    """The port is free again."""
    endpoint = Endpoint("127.0.0.1:0", registry)
    endpoint.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", endpoint.port), timeout=5)


def test_a_defect_is_a_500(endpoint: Endpoint, registry: CollectorRegistry) -> None:
    """Who scrapes is told that metrics cannot be collected, not why."""

    class Broken:
        def collect(self) -> Iterator[Metric]:
            yield from ()
            raise RuntimeError("secret")

        def describe(self) -> list[Metric]:
            return []

    registry.register(Broken())
    with pytest.raises(urllib.error.HTTPError) as refused:
        page(endpoint.port)
    assert refused.value.code == 500
    assert b"secret" not in refused.value.read()
    refused.value.close()


def test_those_who_say_nothing_do_not_fill_the_process(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than MAX_SCRAPES at once are closed; when the silent ones are gone, there is room again."""
    before = threading.active_count()
    silent = [
        socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) for _ in range(scrape.MAX_SCRAPES)
    ]
    more = socket.create_connection(("127.0.0.1", endpoint.port), timeout=5)
    assert more.recv(1) == b""
    assert threading.active_count() <= before + scrape.MAX_SCRAPES
    for each in (*silent, more):
        each.close()
    for _ in range(100):
        try:
            assert "babelcast_test" in page(endpoint.port)
        except (http.client.HTTPException, OSError):
            continue
        break
    else:
        pytest.fail("there is no room again")


@pytest.mark.parametrize("bind", ["", "9464", ":9464", "localhost", "localhost:x", "localhost:65536", "h:-1"])
def test_what_is_no_address_is_said(bind: str) -> None:
    """An operator reads which variable is wrong."""
    with pytest.raises(ConfigError, match="METRICS_BIND"):
        read_bind(bind)


def test_processes_side_by_side_have_ports_side_by_side() -> None:
    """A place is a port further; any port stays any port."""
    assert next_bind("0.0.0.0:9464", 2) == "0.0.0.0:9466"
    assert next_bind("[::]:9464", 1) == "[::]:9465"
    assert next_bind("127.0.0.1:0", 3) == "127.0.0.1:0"
