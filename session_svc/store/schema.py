"""The SQLite tables, by version. A version, once released, never changes; later ones are added below it."""

import sqlite3

from session_svc.store.base import StoreUnavailable

VERSIONS: tuple[str, ...] = (
    """
    CREATE TABLE sessions (
        session_id TEXT PRIMARY KEY,
        speaker_id TEXT NOT NULL,
        speaker_connection_id TEXT NOT NULL,
        settings TEXT NOT NULL,
        is_paused INTEGER NOT NULL,
        is_muted INTEGER NOT NULL,
        volume REAL NOT NULL,
        last_change_ms INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        ends_at_ms INTEGER NOT NULL,
        end_reason TEXT NOT NULL,
        ended INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX sessions_by_end ON sessions (ended, ends_at_ms);
    CREATE TABLE seats (
        connection_id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        role TEXT NOT NULL,
        target_language TEXT NOT NULL,
        token_hash BLOB NOT NULL,
        request_id TEXT NOT NULL,
        present INTEGER NOT NULL,
        until_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX seats_by_session ON seats (session_id);
    CREATE INDEX seats_by_language ON seats (session_id, target_language) WHERE role = 'listener' AND present;
    CREATE INDEX seats_by_time ON seats (until_ms) WHERE role = 'listener';
    CREATE TABLE rates (
        rate_key TEXT PRIMARY KEY,
        full_at_us INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX rates_by_time ON rates (full_at_us);
    """,
    """
    ALTER TABLE seats ADD COLUMN gateway_id TEXT NOT NULL DEFAULT '';
    CREATE INDEX seats_by_gateway ON seats (gateway_id) WHERE present AND gateway_id <> '';
    CREATE TABLE leases (
        gateway_id TEXT PRIMARY KEY,
        until_ms INTEGER NOT NULL,
        lapsed INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX leases_by_time ON leases (lapsed, until_ms);
    """,
    """
    CREATE INDEX sessions_by_speaker ON sessions (speaker_id, ends_at_ms) WHERE ended = 0;
    """,
    """
    ALTER TABLE sessions ADD COLUMN owner_epoch INTEGER NOT NULL DEFAULT 1;
    """,
    """
    ALTER TABLE sessions ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    UPDATE sessions SET revision = created_at_ms;
    """,
    """
    ALTER TABLE seats ADD COLUMN former_connection_id TEXT;
    ALTER TABLE seats ADD COLUMN former_hash BLOB;
    ALTER TABLE seats ADD COLUMN former_until_ms INTEGER;
    CREATE INDEX seats_by_former ON seats (former_connection_id) WHERE former_connection_id IS NOT NULL;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest version; safe against another process doing the same.

    Raises: StoreUnavailable when the file is newer than this program; sqlite3.Error.
    """
    while _version(connection) < len(VERSIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)  # again, now that nobody else can change it
            for statement in VERSIONS[version].split(";") if version < len(VERSIONS) else ():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {min(version + 1, len(VERSIONS))}")
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(VERSIONS):
        raise StoreUnavailable(f"The sessions file was made by a newer program (version {version}).")
    return version
