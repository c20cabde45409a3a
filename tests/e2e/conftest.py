"""One running system for all end-to-end tests."""

from collections.abc import Iterator

import pytest

from tests.e2e.served import Served, serving


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Everything, served by a process of its own with a fresh data directory."""
    with serving(tmp_path_factory.mktemp("system") / "data") as served:
        yield served
