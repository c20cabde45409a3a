"""Where a record is kept, and what the tests of session stores put there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest

from session_svc.events import Hub
from session_svc.model import (
    Audience,
    Broadcast,
    Former,
    GlossaryTerm,
    QualityTier,
    Role,
    Seat,
    Session,
    Settings,
)
from session_svc.publishing import PublishingStore
from session_svc.store.base import Handover, SessionStore
from session_svc.store.dynamodb import DynamoDbStore
from session_svc.store.dynamodb.calls import Calls, Client
from session_svc.store.dynamodb.client import open_client
from session_svc.store.dynamodb.provisioning import Provisioning
from session_svc.store.dynamodb.tables import TableNames, tables
from session_svc.store.sqlite import SqliteStore
from tests.aws_permitted import Permitted

# Far ahead of any wall clock, which DynamoDB deletes rows by.
NOW = 4_000_000_000_000


HOUR = 3_600_000


CODE = "golden-eagle-427"


class Place(Protocol):
    """Where a record is kept; any number of stores may be opened on it, as replicas do."""

    async def open(self) -> SessionStore:
        """A store on the record."""
        ...


@dataclass(frozen=True)
class File:
    """An SQLite file."""

    directory: Path

    async def open(self) -> SessionStore:
        """See Place."""
        return await SqliteStore.open(self.directory / "sessions.sqlite3")


@dataclass(frozen=True)
class DynamoDb:
    """Tables in DynamoDB Local; the stores share a client, since making one takes longer than most tests."""

    names: TableNames
    client: Client

    async def open(self) -> SessionStore:
        """See Place."""
        return DynamoDbStore(Calls(self.client), self.names, clock=lambda: NOW)


@dataclass(frozen=True)
class Published:
    """Another place, as the service uses it."""

    place: Place

    async def open(self) -> SessionStore:
        """See Place."""
        return PublishingStore(await self.place.open(), Hub())


PLACES = ["sqlite", "sqlite, published", "dynamodb"]


@asynccontextmanager
async def place_of(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A place of that kind, empty."""
    if kind == "sqlite":
        yield File(tmp_path)
        return
    async with empty_tables(request.getfixturevalue("dynamodb")) as made:
        yield made


@asynccontextmanager
async def empty_tables(names: TableNames) -> AsyncIterator[DynamoDb]:
    """Tables with these names, just made."""
    client, close = await open_client("eu-west-1")
    try:
        await asyncio.gather(*(Provisioning(client, {}).create(table) for table in tables(names)))
        # whatever a test does, it does with the rights of the service
        yield DynamoDb(names, Permitted(client, names))  # type: ignore[arg-type]  # as a client, call by call
    finally:
        await close()


def session(code: str = CODE, connection_id: str = "speaker") -> Session:
    """A session with every field set to something."""
    return Session(
        session_id=code,
        speaker_id="anna",
        speaker_connection_id=connection_id,
        settings=Settings(
            source_language="en",
            quality_tier=QualityTier.PREMIUM,
            partial_results=False,
            min_stability=0.75,
            max_buffer_timeout_s=3.5,
            glossary=(GlossaryTerm("Bézier", {"es": "Bézier", "fr": "« Bézier »"}),),
        ),
        broadcast=Broadcast(last_change_ms=NOW, volume=0.25),
        created_at_ms=NOW,
        expires_at_ms=NOW + 2 * HOUR,
        ends_at_ms=NOW + 2 * HOUR,
    )


def speaker(code: str = CODE, connection_id: str = "speaker") -> Seat:
    """The speaker's seat."""
    return Seat(connection_id, code, Role.SPEAKER, b"s" * 32, NOW + 2 * HOUR, request_id="r1")


def listener(connection_id: str, language: str = "es", code: str = CODE) -> Seat:
    """A listener's seat."""
    return Seat(
        connection_id, code, Role.LISTENER, connection_id.encode(), NOW + HOUR, target_language=language
    )


def handover(old: Seat, connection_id: str, token_hash: bytes = b"next", capacity: int = 500) -> Handover:
    """`old` as it passes to a connection."""
    seat = replace(
        old,
        connection_id=connection_id,
        token_hash=token_hash,
        until_ms=NOW + 4 * HOUR,
        former=Former(old.connection_id, old.token_hash, NOW + HOUR),
    )
    return Handover(old.connection_id, old.token_hash, seat, NOW + 4 * HOUR, capacity)


async def leave(store: SessionStore, connection_id: str, now_ms: int = NOW) -> object:
    """A connection goes."""
    return await store.leave(
        connection_id, grace_until_ms=now_ms + 30_000, resumable_until_ms=now_ms + 120_000, now_ms=now_ms
    )


async def audience(store: SessionStore, code: str = CODE) -> Audience:
    """Who listens."""
    found = await store.find(code)
    assert found is not None
    return found.audience
