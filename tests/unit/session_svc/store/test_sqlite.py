"""What is particular to the SQLite store; the rest is in the contract."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from session_svc.store import schema
from session_svc.store.base import Handover, StoreUnavailable
from session_svc.store.schema import VERSIONS, migrate
from session_svc.store.sqlite import SqliteStore


async def test_the_file(tmp_path: Path) -> None:
    """The directory is made, the file is its owner's alone, in WAL mode, of the newest version."""
    path = tmp_path / "data" / "sessions.sqlite3"
    store = await SqliteStore.open(path)
    await store.aclose()
    assert path.stat().st_mode & 0o777 == 0o600
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA user_version").fetchone() == (len(VERSIONS),)
    db.close()


async def test_a_file_of_a_newer_program(tmp_path: Path) -> None:
    """An older program leaves a newer file alone."""
    path = tmp_path / "sessions.sqlite3"
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {len(VERSIONS) + 1}")
    db.close()
    with pytest.raises(StoreUnavailable, match="newer"):
        await SqliteStore.open(path)


async def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    """A file that is no database is not overwritten."""
    path = tmp_path / "sessions.sqlite3"
    path.write_text("not a database, but somebody's poem, and long enough to be read as a page" * 100)
    with pytest.raises(StoreUnavailable):
        await SqliteStore.open(path)
    assert path.read_text().startswith("not a database")


def test_many_may_migrate_at_once(tmp_path: Path) -> None:
    """Processes that open a new file together make its tables once."""

    def run(_: int) -> None:
        db = sqlite3.connect(tmp_path / "t", isolation_level=None, timeout=30)
        migrate(db)
        db.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))


def test_versions_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of an older version is brought to the newest; a version that fails changes nothing."""
    db = sqlite3.connect(tmp_path / "t", isolation_level=None)
    migrate(db)
    monkeypatch.setattr(
        schema, "VERSIONS", (*VERSIONS, "CREATE TABLE extra (x)", "CREATE TABLE more (x); NONSENSE")
    )
    with pytest.raises(sqlite3.OperationalError):
        migrate(db)
    assert db.execute("PRAGMA user_version").fetchone() == (len(VERSIONS) + 1,)
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "extra" in tables
    assert "more" not in tables
    db.close()


async def test_a_file_of_an_older_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of a file from before epochs were counted go on, as ones that one connection has spoken in."""
    path = tmp_path / "sessions.sqlite3"
    db = sqlite3.connect(path, isolation_level=None)
    with monkeypatch.context() as older:
        older.setattr(schema, "VERSIONS", VERSIONS[:3])
        migrate(db)
    db.execute(
        "INSERT INTO sessions VALUES"
        " ('golden-eagle-427', 'anna', 'speaker', ?, 0, 0, 1.0, 1, 1, 9, 9, 'expired', 0)",
        ('{"source_language": "en"}',),
    )
    db.execute("INSERT INTO seats VALUES ('speaker', 'golden-eagle-427', 'speaker', '', x'00', '', 1, 9, '')")
    db.close()
    store = await SqliteStore.open(path)
    held = await store.seat("speaker")
    assert held is not None
    before = await store.rotate("speaker", b"a", now_ms=1)
    seat = replace(held, connection_id="s2", token_hash=b"b")
    moved = await store.hand_over(Handover("speaker", b"a", seat, 9, 1), now_ms=1)
    await store.aclose()
    assert before.session.owner_epoch == 1
    assert moved.snapshot.session.owner_epoch == 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM sessions WHERE ended = 0 AND ends_at_ms <= 5",
        "SELECT min(ends_at_ms) FROM sessions WHERE ended = 0",
        "DELETE FROM sessions WHERE ended = 1 AND ends_at_ms < 5",
        "DELETE FROM seats WHERE role = 'listener' AND until_ms <= 5",
        "SELECT target_language, count(*) FROM seats"
        " WHERE session_id = 'x' AND role = 'listener' AND present GROUP BY target_language",
        "SELECT ends_at_ms FROM sessions WHERE speaker_id = 'x' AND ended = 0 AND ends_at_ms > 5"
        " ORDER BY ends_at_ms DESC LIMIT 1 OFFSET 0",
    ],
)
def test_nothing_is_searched_row_by_row(tmp_path: Path, query: str) -> None:
    """The statements that run all the time use an index."""
    db = sqlite3.connect(tmp_path / "t", isolation_level=None)
    migrate(db)
    plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}"))
    db.close()
    assert "USING" in plan
    assert "SCAN" not in plan
