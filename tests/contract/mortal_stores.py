"""Session stores that end in the midst of what they do, as a crash would end them."""

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from session_svc.store.base import SessionStore
from session_svc.store.committer import Committer
from session_svc.store.dynamodb import DynamoDbStore
from session_svc.store.dynamodb.calls import Calls, Client
from session_svc.store.sqlite import SqliteStore
from tests.contract.session_places import NOW, DynamoDb


class Crash(sqlite3.OperationalError):
    """The process is gone."""


@dataclass
class Fuse:
    """Blows after so many steps of a store, and stays so: as if its process had ended there."""

    steps: int

    def burn(self) -> None:
        """Note one step.

        Raises: Crash.
        """
        self.steps -= 1
        if self.steps < 0:
            raise Crash


class MortalConnection(sqlite3.Connection):
    """A connection to the file that does nothing any more once its fuse is blown."""

    fuse: Fuse

    def execute(self, *arguments: Any, **options: Any) -> sqlite3.Cursor:
        """See sqlite3."""
        self.fuse.burn()
        return super().execute(*arguments, **options)


class MortalFile:
    """An SQLite file whose store ends in the midst of a transaction."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "sessions.sqlite3"

    async def open(self, fuse: Fuse) -> SessionStore:
        """A store that lives as long as its fuse."""
        made = await SqliteStore.open(self._path)
        await made.aclose()

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(self._path, isolation_level=None, factory=MortalConnection)
            connection.row_factory = sqlite3.Row
            connection.fuse = Fuse(1_000_000)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.fuse = fuse
            return connection

        committer = Committer(connect)
        await committer.start()
        return SqliteStore(committer)


class MortalClient:
    """Passes calls on; the fuse may blow before one is sent, or when it is done and not yet known."""

    def __init__(self, client: Client, fuse: Fuse) -> None:
        self._client = client
        self._fuse = fuse

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        async def call(**parameters: object) -> object:
            self._fuse.burn()
            done = await getattr(self._client, name)(**parameters)
            self._fuse.burn()
            return done

        return call


@dataclass(frozen=True)
class MortalTables:
    """Tables whose stores end between two calls, or between a call and its answer."""

    place: DynamoDb

    async def open(self, fuse: Fuse) -> SessionStore:
        """A store that lives as long as its fuse."""
        client = cast(Client, MortalClient(self.place.client, fuse))
        return DynamoDbStore(Calls(client), self.place.names, clock=lambda: NOW)


Mortal = MortalFile | MortalTables
