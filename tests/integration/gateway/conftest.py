"""A gateway in working order, with short waits."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from babelcast.auth.local_issuer import LocalIssuer
from tests.integration.gateway.stage import Stage, staged


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalIssuer:
    """One key for all tests, since making one takes long."""
    return LocalIssuer.open(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back at once to what broke."""
    monkeypatch.setattr("gateway.backoff.FIRST_S", 0.01)
    monkeypatch.setattr("gateway.backoff.MOST_S", 0.05)
    monkeypatch.setattr("gateway.sessions.WATCH_BACKOFF_S", 0.01)


@pytest.fixture
async def stage(tmp_path: Path, issuer: LocalIssuer) -> AsyncIterator[Stage]:
    """Everything, running, with the usual limits."""
    async with staged(tmp_path, issuer) as running:
        yield running
