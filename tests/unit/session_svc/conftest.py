"""The rules on a real SQLite file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from session_svc.config import SessionConfig, policy
from session_svc.store.sqlite import SqliteStore
from tests.unit.session_svc.world import RecordingHub, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world with the default limits, but that one speaker may have many sessions."""
    store = await SqliteStore.open(tmp_path / "sessions.sqlite3")
    yield World(store, policy(SessionConfig(max_concurrent_streams_per_speaker=0)), RecordingHub())
    await store.aclose()
