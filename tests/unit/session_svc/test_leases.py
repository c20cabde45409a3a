"""Gateways' leases."""

import asyncio

import pytest

from babelcast.errors import InvalidParameter, MissingParameter, ServiceUnavailable
from session_svc.events import Ended, Event
from session_svc.leases import SETTLED_MS
from session_svc.model import Audience, Settings
from session_svc.store.base import StoreUnavailable
from tests.unit.session_svc.world import World

LEASE_S = 30


async def talk(world: World) -> str:
    """A session: its speaker on g1; two listeners on g1, one on g2, one on none. Swept for a lease's time."""
    assert await world.sessions.renew_lease("g1")
    assert await world.sessions.renew_lease("g2")
    await world.sessions.sweep()
    created = await world.sessions.create(
        Settings(source_language="en"),
        request_id="",
        speaker_id="anna",
        connection_id="s",
        gateway_id="g1",
    )
    code = created.snapshot.session.session_id
    for connection, language, gateway in (
        ("a", "es", "g1"),
        ("b", "fr", "g1"),
        ("c", "fr", "g2"),
        ("d", "pt", ""),
    ):
        await world.sessions.join(
            code, connection_id=connection, target_language=language, gateway_id=gateway
        )
    await pass_leases(world, "g1", "g2")
    world.events()
    return code


async def pass_leases(world: World, *alive: str, seconds: int = LEASE_S) -> None:
    """Let time pass in which these gateways renew their leases."""
    for _ in range(seconds // 10):
        world.pass_s(10)
        for gateway in alive:
            assert await world.sessions.renew_lease(gateway)
        await world.sessions.sweep()


async def test_a_gateway_that_dies(world: World) -> None:
    """Its listeners leave, exactly they; its speaker's grace starts; a resume token still takes a seat."""
    code = await talk(world)
    await pass_leases(world, "g2", seconds=20)
    assert (await world.sessions.get(code)).audience == Audience({"es": 1, "fr": 2, "pt": 1})
    assert world.events() == []
    await pass_leases(world, "g2", seconds=10)
    snapshot = await world.sessions.get(code)
    assert snapshot.audience == Audience({"fr": 1, "pt": 1})
    assert snapshot.session.ends_at_ms == world.now + 30_000
    assert world.events()[-1] == Event(code, Audience({"fr": 1, "pt": 1}))
    await pass_leases(world, "g2", seconds=20)
    assert world.events() == []
    await pass_leases(world, "g2", seconds=10)
    assert world.events() == [Event(code, Ended("speakerDisconnected"))]


async def test_seats_are_resumed_elsewhere(world: World) -> None:
    """Whoever comes back through another gateway within the windows is there again."""
    await world.sessions.renew_lease("g1")
    await world.sessions.sweep()
    created = await world.sessions.create(
        Settings(source_language="en"), request_id="", speaker_id="anna", connection_id="s", gateway_id="g1"
    )
    code = created.snapshot.session.session_id
    joined = await world.sessions.join(code, connection_id="a", target_language="es", gateway_id="g1")
    await pass_leases(world)
    assert (await world.sessions.get(code)).audience == Audience()
    await world.sessions.refresh(code, connection_id="s2", resume_token=created.resume_token, gateway_id="g2")
    await world.sessions.join(
        code, connection_id="a2", target_language="es", resume_token=joined.resume_token, gateway_id="g2"
    )
    await pass_leases(world, "g2", seconds=60)
    snapshot = await world.sessions.get(code)
    assert snapshot.audience == Audience({"es": 1})
    assert snapshot.session.ends_at_ms == snapshot.session.expires_at_ms


async def test_a_gateway_that_was_asleep(world: World) -> None:
    """It is told that its lease is gone, nobody is seated under it, and another lease is as good as new."""
    code = await talk(world)
    await pass_leases(world, "g2")
    assert not await world.sessions.renew_lease("g1")
    with pytest.raises(ServiceUnavailable):
        await world.sessions.join(code, connection_id="e", target_language="es", gateway_id="g1")
    await world.sessions.disconnect("a")
    await world.sessions.join(code, connection_id="e", target_language="es", gateway_id="g1-again")
    assert (await world.sessions.get(code)).audience == Audience({"es": 1, "fr": 1, "pt": 1})


async def test_a_seat_that_was_taken_while_the_lease_lapsed(world: World) -> None:
    """It is found by a later sweep."""
    code = await talk(world)
    await pass_leases(world, "g2")
    late = world.with_limits()
    late.leases._good_until["g1"] = world.now + 1  # as in a request that was under way
    await late.join(code, connection_id="e", target_language="it", gateway_id="g1")
    world.events()
    await pass_leases(world, "g2", seconds=10)
    assert world.events() == [Event(code, Audience({"fr": 1, "pt": 1}))]


async def test_replicas_at_once(world: World) -> None:
    """Several replicas that see to the same dead gateway do what one does."""
    code = await talk(world)
    others = [world.with_limits() for _ in range(3)]
    for _ in range(3):
        world.pass_s(10)
        await world.sessions.renew_lease("g2")
        await asyncio.gather(*(sessions.sweep() for sessions in (world.sessions, *others)))
    assert (await world.sessions.get(code)).audience == Audience({"fr": 1, "pt": 1})
    heard = [event.change for event in world.events() if isinstance(event.change, Audience)]
    assert [audience.listener_count for audience in heard] == [3, 2]


async def test_a_service_that_was_away(world: World) -> None:
    """After it was down, asleep, or without its store, gateways have a lease's time to say that they live."""
    code = await talk(world)
    world.pass_s(1800)
    await world.sessions.sweep()
    await pass_leases(world, "g1", "g2")
    started_anew = world.with_limits()
    world.pass_s(1800)
    await started_anew.sweep()
    assert await started_anew.renew_lease("g1")
    assert (await world.sessions.get(code)).audience.listener_count == 4


async def test_a_store_that_was_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that could not be renewed, since the record could not be used, do not lapse at once."""
    code = await talk(world)
    world.pass_s(25)

    async def broken(**_: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "sweep", broken)
        with pytest.raises(StoreUnavailable):
            await world.sessions.sweep()
    world.pass_s(10)
    next_due_ms = await world.sessions.sweep()
    assert next_due_ms == world.now + LEASE_S * 500
    world.pass_s(LEASE_S - 1)
    await world.sessions.sweep()
    assert (await world.sessions.get(code)).audience.listener_count == 4
    assert await world.sessions.renew_lease("g1")


async def test_a_crash_after_a_lapse(world: World) -> None:
    """What a replica left undone is done by one that starts, however much later."""
    code = await talk(world)
    world.pass_s(LEASE_S)
    await world.store.lapse(due_ms=world.now, settled_ms=0)  # and there it crashed
    world.pass_s(2 * SETTLED_MS / 1000)
    await world.with_limits().sweep()
    assert (await world.sessions.get(code)).audience == Audience({"pt": 1})


async def test_the_next_sweep_is_known(world: World) -> None:
    """A lease's end is something to wake up for; without one, there is reason to look twice in its time."""
    await world.sessions.sweep()
    await pass_leases(world, "g1")
    assert await world.sessions.sweep() == world.now + LEASE_S * 500
    world.pass_s(20)
    assert await world.sessions.sweep() == world.now + (LEASE_S - 20) * 1000


async def test_a_lease_shorter_than_the_usual_wait(world: World) -> None:
    """It lapses at its end if sweeps come when they are asked for."""
    sessions = world.with_limits(lease_ms=3_000)
    await sessions.sweep()
    world.pass_s(1)
    await sessions.renew_lease("g1")
    ends_ms = world.now + 3_000
    while world.now < ends_ms:
        due_ms = await sessions.sweep()
        assert due_ms is not None
        world.now = due_ms
    assert world.now == ends_ms
    await sessions.sweep()
    assert not await sessions.renew_lease("g1")


async def test_names_of_gateways(world: World) -> None:
    """A lease has a name of reasonable length."""
    with pytest.raises(MissingParameter):
        await world.sessions.renew_lease("")
    with pytest.raises(InvalidParameter):
        await world.sessions.renew_lease("g" * 65)


async def test_a_new_lease_is_news(world: World) -> None:
    """The timer hears of it once, so that it does not sleep past the end of a short one."""
    await world.sessions.renew_lease("g1")
    await world.sessions.renew_lease("g1")
    assert world.woken == 1
