"""One browser and one server with scripted engines for all tests of the pages (`make test-pages`)."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.e2e.pages import chromium as browsers
from tests.e2e.pages.chromium import Browsing, Chromium
from tests.e2e.pages.talks import Talk, talking
from tests.e2e.served import Served, serving

collect_ignore_glob = [] if os.environ.get("PAGES") else ["test_*.py"]
"""They take five minutes, which is more than all other tests of the gateway."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chromium]:
    """The browser."""
    async with browsers.running(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="session")
def stage(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server, once it is known that there is a browser."""
    with serving(tmp_path_factory.mktemp("pages") / "data", options=("--engines", "scripted")) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def browsing(chromium: Chromium, stage: Served) -> AsyncIterator[Browsing]:
    """Pages of one test. At its end, none may have had an error that the test does not expect."""
    pages = Browsing(chromium, stage.url.replace("ws", "http", 1))
    yield pages
    troubles = await pages.close()
    assert troubles == []


@pytest_asyncio.fixture(loop_scope="session")
async def talk(stage: Served) -> AsyncIterator[Talk]:
    """A talk whose speaker says what the test asks for."""
    async with asyncio.timeout(100), talking(stage.url, stage.token) as held:
        yield held
