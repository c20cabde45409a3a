"""A DynamoDB Local for the tests, and tables of their own for each of them."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from session_svc.store.dynamodb.tables import TableNames

SCRIPT = Path(__file__).parents[1] / "deploy" / "dev" / "dynamodb"
PATIENCE_S = 60.0
MEMORY = Path("/dev/shm")


class DynamoDbServer:
    """A DynamoDB Local on a port of its own. With a folder for its tables it outlives kills."""

    def __init__(self, store: Path | None = None) -> None:
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """For AWS_ENDPOINT_URL_DYNAMODB."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._process = subprocess.Popen(
            [SCRIPT, "run", str(self.port), *([] if self._store is None else [self._store])],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "END_WITH_PARENT": "1"},
        )
        _wait_for(self._process, self.port)

    def kill(self) -> None:
        """As kill -9 does; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """In order; idempotent."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def require_dynamodb() -> None:
    """Skip where it cannot be had; in CI it must be."""
    prepared = subprocess.run([SCRIPT, "prepare"], check=False, capture_output=True, text=True)
    if prepared.returncode:
        why = f"DynamoDB Local cannot be had: {prepared.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture(scope="session")
def dynamodb_url() -> Iterator[str]:
    """The address of a DynamoDB Local that runs for as long as the tests."""
    require_dynamodb()
    server = DynamoDbServer()
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


@pytest.fixture
def mortal_dynamodb() -> Iterator[DynamoDbServer]:
    """A server of one test alone, which may kill it; its tables stay, in memory where that can be: on a disk
    each transaction takes many times as long as the real ones do.
    """
    require_dynamodb()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        server = DynamoDbServer(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
def dynamodb(dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> TableNames:
    """Names of tables that nobody else uses, with the environment in which boto finds their DynamoDB."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    return unused_names()


def unused_names() -> TableNames:
    """Names that no other test has."""
    prefix = uuid.uuid4().hex[:12]
    return TableNames(f"Sessions-{prefix}", f"Connections-{prefix}", f"RateLimits-{prefix}")


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)  # another program's start can only be asked for
    pytest.fail("DynamoDB Local does not start")
