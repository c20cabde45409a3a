"""The timer of sessions."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from babelcast.errors import SessionEnded
from session_svc.events import Ended, Event
from session_svc.store.base import StoreUnavailable
from session_svc.sweeper import LONGEST_WAIT_S, Sweeper, waker
from tests.unit.session_svc.world import World


class Health:
    """What health was told."""

    def __init__(self) -> None:
        self.told: list[bool] = []
        self.changed = asyncio.Event()

    async def __call__(self, *, serving: bool) -> None:
        """Note it."""
        self.told.append(serving)
        self.changed.set()

    async def next(self) -> bool:
        """The next word."""
        async with asyncio.timeout(10):
            await self.changed.wait()
        self.changed.clear()
        return self.told[-1]


@pytest.fixture
def health() -> Health:
    """Somebody who listens."""
    return Health()


@pytest.fixture
def due() -> asyncio.Event:
    """What the sweeper waits for."""
    return asyncio.Event()


@pytest.fixture
async def sweeper(world: World, health: Health, due: asyncio.Event) -> AsyncIterator[Sweeper]:
    """A sweeper at work."""
    made = Sweeper(world.sessions, due, now_ms=lambda: world.now, tell_health=health)
    await made.start()
    yield made
    await made.aclose()
    await made.aclose()


async def test_it_serves_after_the_first_sweep(sweeper: Sweeper, health: Health) -> None:
    """Health says so only once the record was seen to work."""
    assert health.told == [True]


async def test_it_is_woken_by_a_deadline(world: World, sweeper: Sweeper, due: asyncio.Event) -> None:
    """A deadline nearer than known ends its session when it comes."""
    code = (await world.created()).snapshot.session.session_id
    await world.sessions.disconnect("c-speaker")
    world.pass_s(30)
    due.set()
    async with asyncio.timeout(10):
        await world.hub.heard.wait()
    assert world.events() == [Event(code, Ended("speakerDisconnected"))]
    with pytest.raises(SessionEnded):
        await world.sessions.get(code)


async def test_health_follows_the_store(
    world: World,
    sweeper: Sweeper,
    due: asyncio.Event,
    health: Health,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A record that fails is told, and so is its recovery, without anybody's doing."""
    await health.next()
    monkeypatch.setattr("session_svc.sweeper.RETRY_S", 0.01)

    async def broken() -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(world.sessions, "sweep", broken)
        due.set()
        assert await health.next() is False
    assert await health.next() is True
    assert health.told == [True, False, True]


async def test_a_defect_is_told(
    world: World,
    sweeper: Sweeper,
    due: asyncio.Event,
    health: Health,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A timer that fails does not fail in silence: health says so, whoever waits gets the cause."""
    await health.next()

    async def defect() -> None:
        raise KeyError("oops")

    monkeypatch.setattr(world.sessions, "sweep", defect)
    due.set()
    with pytest.raises(KeyError):
        await sweeper.wait()
    assert health.told == [True, False]


async def test_waiting_for_a_sweeper_that_is_stopped(sweeper: Sweeper) -> None:
    """Being stopped is no failure."""
    waiting = asyncio.create_task(sweeper.wait())
    await sweeper.aclose()
    await waiting


@pytest.mark.parametrize(
    ("in_s", "wakes"), [(0.0, True), (LONGEST_WAIT_S - 1, True), (LONGEST_WAIT_S, False)]
)
def test_only_what_is_due_soon_wakes_it(due: asyncio.Event, in_s: float, wakes: bool) -> None:
    """What is due after its next look anyway costs no sweep, however many sessions are made."""
    waker(due, now_ms=lambda: 5_000)(5_000 + round(in_s * 1000))
    assert due.is_set() is wakes
