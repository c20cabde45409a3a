"""A canned server, and a console to read from."""

from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from tests.unit.babelcast.client.canned_server import CannedServer
from tests.unit.cli.page import Page


@pytest.fixture
async def canned() -> AsyncIterator[CannedServer]:
    """A server that answers like a gateway in good health."""
    server = CannedServer()
    await server.start()
    assert server.server is not None
    async with server.server:
        yield server


@pytest.fixture
def page() -> Page:
    """What was printed."""
    return Page()


@pytest.fixture
def console(page: Page) -> Console:
    """Prints as into a file."""
    return Console(file=page, width=200)


@pytest.fixture
def terminal(page: Page) -> Console:
    """Prints as on a terminal."""
    return Console(file=page, width=100, force_terminal=True, color_system="standard", legacy_windows=False)
