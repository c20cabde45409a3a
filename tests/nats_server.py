"""A real NATS server for the tests: one that runs for as long as they do, and ones to be killed."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import pytest

from babelcast.bus.nats import wire

SCRIPT = Path(__file__).parents[1] / "deploy" / "dev" / "nats"
PATIENCE_S = 30.0


class NatsServer:
    """A server on a port of its own, which stays the same when it is started again on what it has stored."""

    def __init__(self, store: Path, *options: str) -> None:
        self._store = store
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """For BUS_URL."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it listens."""
        log = (self._store.parent / f"{self._store.name}.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [SCRIPT, "run", str(self.port), str(self._store), *self._options],
                stdout=log,
                stderr=log,
                env={**os.environ, "END_WITH_PARENT": "1"},
            )
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)  # another program's start can only be asked for
        pytest.fail("nats-server does not start")

    def kill(self) -> None:
        """As kill -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """In order; idempotent."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_nats() -> None:
    """Skip where no server can be had; in CI it must be."""
    prepared = subprocess.run([SCRIPT, "prepare"], check=False, capture_output=True, text=True)
    if prepared.returncode:
        why = f"nats-server cannot be had: {prepared.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server for all tests; each leaves it without a stream."""
    require_nats()
    server = NatsServer(tmp_path_factory.mktemp("nats") / "store")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def fresh_stream(nats_server: NatsServer) -> AsyncIterator[None]:
    """Whatever a test publishes on the shared server is gone afterwards."""
    yield
    client = await nats.connect(nats_server.url)
    await client.jetstream().delete_stream(wire.STREAM)
    await client.close()


@pytest.fixture
def mortal_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of one test alone, which may kill it."""
    require_nats()
    server = NatsServer(tmp_path / "store")
    server.start()
    yield server
    server.stop()
