"""A canned server and settings that keep waits short."""

from collections.abc import AsyncIterator
from random import Random

import pytest

from babelcast.client import ClientSettings
from tests.unit.babelcast.client.canned_server import CannedServer


@pytest.fixture
async def canned() -> AsyncIterator[CannedServer]:
    """A server that answers like a gateway in good health."""
    server = CannedServer()
    await server.start()
    assert server.server is not None
    async with server.server:
        yield server


@pytest.fixture
def quick() -> ClientSettings:
    """Settings that keep the waits of a test short."""
    return ClientSettings(
        connect_timeout_s=2,
        request_timeout_s=2,
        close_timeout_s=0.5,
        resume_window_s=3,
        backoff_base_s=0.01,
        backoff_cap_s=0.02,
    )


@pytest.fixture
def random() -> Random:
    """The same jitter in each run."""
    return Random(7)
