"""When clients of a gateway that stops are asked to move."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gateway.config import GatewayConfig
from gateway.departure import Departure, Schedule, unless_hurried
from gateway.permissions import Role

CLOCK_MS = 1_000_000


@given(
    drain_s=st.integers(1, 600),
    linger_s=st.floats(0, 600),
    window_s=st.floats(0, 600),
    many=st.integers(1, 50),
)
def test_everybody_is_asked_in_time(drain_s: int, linger_s: float, window_s: float, many: int) -> None:
    """Times come in order whatever is set, the last is DRAIN_SECONDS, and the askings are evenly spread."""
    schedule = Schedule.of(
        GatewayConfig(drain_seconds=drain_s, drain_linger_seconds=linger_s, drain_window_seconds=window_s)
    )
    assert 0 <= schedule.linger_s <= schedule.asked_s < schedule.finish_s < schedule.end_s == drain_s
    due_s = [schedule.due_s(place, of=many) for place in range(many)]
    assert due_s[0] == schedule.linger_s
    assert due_s == sorted(due_s)
    assert due_s[-1] <= schedule.asked_s
    step_s = (schedule.asked_s - schedule.linger_s) / many
    assert all(abs(late - early - step_s) < 1e-6 for early, late in itertools.pairwise(due_s))


@dataclass(eq=False)
class Client:
    """A connection that notes when it was asked, and goes when it is told to by a test."""

    role: Role
    now: Callable[[], float]
    asked_s: list[float] = field(default_factory=list)
    refresh_by_ms: int = -1

    def require_refresh(self, *, refresh_by_ms: int) -> None:
        self.asked_s.append(self.now())
        self.refresh_by_ms = refresh_by_ms


class World:
    """A departure on a clock that every step moves on."""

    def __init__(self, *roles: Role, schedule: Schedule) -> None:
        self.now_s = 0.0
        self.clients = [Client(role, lambda: self.now_s) for role in roles]
        self.hurried = asyncio.Event()
        self.departure = Departure(
            schedule,
            leavers=self.leavers,
            clock=lambda: self.now_s,
            clock_ms=lambda: CLOCK_MS + round(1000 * self.now_s),
            hurried=self.hurried,
        )

    def leavers(self) -> list[Client]:
        self.now_s += 0.05
        return self.clients


SCHEDULE = Schedule(linger_s=0.0, asked_s=1.0, finish_s=2.0, end_s=3.0)


async def test_listeners_are_asked_before_speakers() -> None:
    """One after the other, each once; a visitor takes no role here any more."""
    world = World(Role.SPEAKER, Role.LISTENER, Role.NONE, Role.LISTENER, schedule=SCHEDULE)
    await world.departure.move()
    speaker, first, visitor, second = world.clients
    assert [len(client.asked_s) for client in world.clients] == [1, 1, 1, 1]
    assert visitor.asked_s[0] <= first.asked_s[0] < second.asked_s[0] < speaker.asked_s[0] <= 1.0
    assert speaker.refresh_by_ms <= CLOCK_MS + 2_000
    assert world.departure.left_s <= 1.0


async def test_it_is_over_when_all_have_moved() -> None:
    """Nobody who is gone is waited for."""
    world = World(Role.LISTENER, schedule=Schedule(linger_s=0.0, asked_s=60, finish_s=3_600, end_s=3_600))
    moving = asyncio.create_task(world.departure.move())
    while not world.clients[0].asked_s:  # noqa: ASYNC110 - its own steps move the clock
        await asyncio.sleep(0)
    world.clients.clear()
    async with asyncio.timeout(5):
        await moving


async def test_who_comes_to_a_role_meanwhile_is_asked_at_once() -> None:
    """A join may have been under way when it began."""
    world = World(Role.LISTENER, schedule=SCHEDULE)
    moving = asyncio.create_task(world.departure.move())
    await asyncio.sleep(0)
    late = Client(Role.LISTENER, lambda: world.now_s)
    world.clients.append(late)
    await moving
    assert len(late.asked_s) == 1


async def test_in_a_hurry_nobody_is_waited_for() -> None:
    """Neither for those who send clients, nor for the clients."""
    world = World(
        Role.LISTENER, schedule=Schedule(linger_s=3_600, asked_s=7_200, finish_s=7_200, end_s=7_200)
    )
    lingering = asyncio.create_task(world.departure.linger())
    await asyncio.sleep(0)
    world.hurried.set()
    async with asyncio.timeout(5):
        await lingering
        await world.departure.move()


async def test_work_is_cut_short_in_a_hurry_alone() -> None:
    """What is done in time is done; what never ends is cancelled."""
    hurried, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        done.set()

    await unless_hurried(work(), hurried, most_s=60)
    assert done.is_set()

    async def endless() -> None:
        hurried.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        await unless_hurried(endless(), hurried, most_s=60)
