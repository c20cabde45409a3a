"""A DynamoDB Local for the tests, and tables of their own for each of them."""

import contextlib
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from session_svc.store.dynamodb.tables import TableNames

SCRIPT = Path(__file__).parents[1] / "deploy" / "dev" / "dynamodb"
PATIENCE_S = 60.0


@pytest.fixture(scope="session")
def dynamodb_url() -> Iterator[str]:
    """The address of a DynamoDB Local that runs for as long as the tests."""
    prepared = subprocess.run([SCRIPT, "prepare"], check=False, capture_output=True, text=True)
    if prepared.returncode:
        why = f"DynamoDB Local cannot be had: {prepared.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with subprocess.Popen(
        [SCRIPT, "run", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "END_WITH_PARENT": "1"},
    ) as process:
        try:
            _wait_for(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


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
