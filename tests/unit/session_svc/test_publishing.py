"""Changes are heard of."""

import asyncio

import pytest

from session_svc.events import Event
from session_svc.model import Audience, Role, Seat, Snapshot
from session_svc.publishing import PublishingStore
from session_svc.store.base import Charge, Refused
from tests.unit.session_svc.world import World


async def test_a_caller_who_goes_away_is_still_heard_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A join whose caller is cancelled takes its seat, watchers hear of it, and closing waits for it."""
    session = (await world.created()).snapshot.session
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    join = world.store.join

    async def slow_join(seat: Seat, *, capacity: int, charge: Charge | None = None, now_ms: int) -> Snapshot:
        begun.set()
        await may_go_on.wait()
        return await join(seat, capacity=capacity, charge=charge, now_ms=now_ms)

    monkeypatch.setattr(world.store, "join", slow_join)
    store = PublishingStore(world.store, world.hub)
    seat = Seat("c1", session.session_id, Role.LISTENER, b"", world.now + 1000, target_language="es")
    joining = asyncio.create_task(store.join(seat, capacity=1, now_ms=world.now))
    await begun.wait()
    joining.cancel()
    await asyncio.wait([joining])
    assert joining.cancelled()
    may_go_on.set()
    await store.aclose()
    assert world.events() == [Event(session.session_id, Audience({"es": 1}))]


async def test_refusals_are_not_published(world: World) -> None:
    """What did not happen is not heard of."""
    store = PublishingStore(world.store, world.hub)
    with pytest.raises(Refused):
        await store.change_language("nobody", "es", now_ms=0)
    assert world.events() == []
