"""The Prometheus endpoint of a process: a small HTTP server in threads of its own, off the event loop."""

import logging
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from babelcast.config import ConfigError
from babelcast.errors import ServiceUnavailable

PATH: Final = "/metrics"
MAX_SCRAPES: Final = 8
"""At once; further connections are closed without a word."""
SILENCE_S: Final = 10.0
"""How long a client may say nothing, or take nothing."""
_HIGHEST_PORT: Final = 65535

_Request: TypeAlias = socket.socket | tuple[bytes, socket.socket]

log = logging.getLogger(__name__)


def read_bind(bind: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[address]:port".

    Raises: ConfigError.
    """
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise ConfigError(f"METRICS_BIND: {bind!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def next_bind(bind: str, places: int) -> str:
    """The address so many ports further, for another process beside this one; port 0 stays any port.

    Raises: ConfigError.
    """
    host, port = read_bind(bind)
    return f"[{host}]:{port and port + places}" if ":" in host else f"{host}:{port and port + places}"


class Endpoint:
    """Serves a registry from the moment it is made. `close` it."""

    def __init__(self, bind: str, registry: CollectorRegistry) -> None:
        """`bind` is "host:port", port 0 for any.

        Raises: ConfigError, ServiceUnavailable when the address is taken.
        """
        host, port = read_bind(bind)
        try:
            self._server = _Server(host, port, registry)
        except OSError as error:
            raise ServiceUnavailable(
                f"Cannot listen on {bind} for metrics: {error.strerror or error}."
            ) from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True
        )
        self._thread.start()
        log.info("metrics can be scraped", extra={"port": self.port})

    def close(self) -> None:
        """Stop listening; idempotent."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # nobody waits for a scraper that hangs

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._registry = registry
        self._rendering = threading.Lock()  # one collection at a time: each takes what it made, and all of it
        self._places = threading.BoundedSemaphore(MAX_SCRAPES)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """As any server: that of HTTP asks DNS for our name, which nobody wants and may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", int(self.server_address[1])

    def metrics(self) -> bytes:
        """All metrics as they are now."""
        with self._rendering:
            return generate_latest(self._registry)

    def process_request(self, request: _Request, client_address: object) -> None:
        """In a thread, if there is a place."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: _Request, client_address: object) -> None:
        """Give the place back at the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: _Request, client_address: object) -> None:  # noqa: ARG002
        """Scrapers that go away, or are no scrapers, are no news; a defect is, without whose fault it was."""
        log.debug("a scrape broke off", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = SILENCE_S
    server_version = "Babelcast"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        """The one page that there is."""
        if self.path.partition("?")[0] != PATH:
            self._answer(HTTPStatus.NOT_FOUND, b"There is nothing here but /metrics.\n")
            return
        try:
            body = self.server.metrics()
        except Exception:
            log.exception("metrics cannot be collected")
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"Metrics cannot be collected.\n")
            return
        self._answer(HTTPStatus.OK, body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the library
        """Strangers' words do not go into the log."""

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
