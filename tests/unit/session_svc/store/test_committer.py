"""The thread that commits in groups."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from session_svc.store.base import Refused, StoreUnavailable
from session_svc.store.committer import GROUP_LIMIT, Committer


class Statements:
    """Every statement that a connection runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[str] = []

    def open(self) -> sqlite3.Connection:
        """A connection with a table, whose statements are noted from then on."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("CREATE TABLE IF NOT EXISTS t (x INTEGER PRIMARY KEY)")
        connection.set_trace_callback(self.seen.append)
        return connection


@pytest.fixture
def statements(tmp_path: Path) -> Statements:
    """A file with one table."""
    return Statements(tmp_path / "t.sqlite3")


@pytest.fixture
async def committer(statements: Statements) -> AsyncIterator[Committer]:
    """A committer on it."""
    made = Committer(statements.open)
    await made.start()
    yield made
    await made.aclose()


def insert(number: int) -> "Work":
    """Work that adds a row."""
    return Work(number)


class Work:
    """Adds a row, returns its number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, db: sqlite3.Connection) -> int:
        db.execute("INSERT INTO t VALUES (?)", (self.number,))
        return self.number


def count(db: sqlite3.Connection) -> int:
    """The number of rows."""
    found: int = db.execute("SELECT count(*) FROM t").fetchone()[0]
    return found


class Gate:
    """Holds the committer's thread until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, db: sqlite3.Connection) -> None:
        self.entered.set()
        self.opened.wait(10)


async def test_what_waits_shares_a_commit(committer: Committer, statements: Statements) -> None:
    """Work that arrives while the thread is busy is committed together, and in order."""
    gate = Gate()
    held = asyncio.create_task(committer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 10)
    finished: list[int] = []

    async def add(number: int) -> None:
        finished.append(await committer.run(insert(number)))

    adding = [asyncio.create_task(add(number)) for number in range(100)]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(held, *adding)
    assert statements.seen.count("COMMIT") == 2
    assert finished == list(range(100))


async def test_groups_are_bounded(committer: Committer, statements: Statements) -> None:
    """However much waits, a group has its limit, so that the first are not kept waiting."""
    gate = Gate()
    held = asyncio.create_task(committer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 10)
    adding = [asyncio.create_task(committer.run(insert(n))) for n in range(GROUP_LIMIT + 1)]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(held, *adding)
    assert statements.seen.count("COMMIT") == 3


async def test_one_refusal_takes_nothing_of_the_others_along(committer: Committer) -> None:
    """In a shared commit, work that is refused leaves no trace, and the rest stays."""
    gate = Gate()
    held = asyncio.create_task(committer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 10)

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (50)")
        raise Refused

    outcomes = asyncio.gather(
        committer.run(insert(1)),
        committer.run(half),
        committer.run(insert(1)),
        committer.run(insert(2)),
        return_exceptions=True,
    )
    await asyncio.sleep(0)
    gate.opened.set()
    await held
    first, refused, twice, second = await outcomes
    assert (first, second) == (1, 2)
    assert isinstance(refused, Refused)
    assert isinstance(twice, StoreUnavailable)
    assert await committer.run(count) == 2


async def test_a_defect_fails_its_group_and_not_the_thread(committer: Committer) -> None:
    """Work with a defect is not committed, its caller hears of it, and the next work is done."""

    def defect(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (1)")
        raise KeyError("oops")

    with pytest.raises(StoreUnavailable) as raised:
        await committer.run(defect)
    assert isinstance(raised.value.__cause__, KeyError)
    assert "oops" not in raised.value.message
    assert await committer.run(count) == 0


async def test_a_broken_commit_fails_its_group(committer: Committer) -> None:
    """When the transaction is lost nobody is told that it worked."""

    def break_transaction(db: sqlite3.Connection) -> None:
        db.execute("COMMIT")

    with pytest.raises(StoreUnavailable):
        await committer.run(break_transaction)
    assert await committer.run(count) == 0


async def test_overload_is_refused(statements: Statements) -> None:
    """What waits is bounded, and refused at once beyond that."""
    committer = Committer(statements.open, capacity=2)
    await committer.start()
    gate = Gate()
    held = asyncio.create_task(committer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 10)
    waiting = asyncio.create_task(committer.run(count))
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="overloaded"):
        await committer.run(count)
    gate.opened.set()
    await asyncio.gather(held, waiting)
    assert await committer.run(count) == 0
    await committer.aclose()


async def test_a_caller_who_goes_away(committer: Committer) -> None:
    """Work that was queued is done even if its caller was cancelled, and disturbs nobody."""
    gate = Gate()
    held = asyncio.create_task(committer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 10)
    gone = asyncio.create_task(committer.run(insert(1)))
    await asyncio.sleep(0)
    gone.cancel()
    gate.opened.set()
    await held
    assert await committer.run(count) == 1
    assert gone.cancelled()


async def test_closing_finishes_what_waits(statements: Statements) -> None:
    """Closing loses nothing; afterwards nothing is taken; twice is once."""
    committer = Committer(statements.open)
    await committer.start()
    adding = [asyncio.create_task(committer.run(insert(number))) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(committer.aclose(), committer.aclose())
    assert await asyncio.gather(*adding) == list(range(20))
    with pytest.raises(StoreUnavailable, match="closed"):
        await committer.run(count)
    with sqlite3.connect(statements.path) as db:
        assert count(db) == 20
    db.close()


async def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """Failing to open is told at the start, and closing still works."""
    committer = Committer(lambda: sqlite3.connect(tmp_path / "no" / "such" / "place"))
    with pytest.raises(StoreUnavailable):
        await committer.start()
    await committer.aclose()
