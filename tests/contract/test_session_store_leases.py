"""How every session store keeps the leases of gateways."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from session_svc.store.base import SessionStore
from tests.contract.session_places import HOUR, NOW, handover, leave, listener, session, speaker


async def test_a_lease_that_lapses(store: SessionStore) -> None:
    """A lease is renewed until a sweep saw that it ran out, and never after; its lapse is remembered."""
    assert await store.renew_lease("g1", until_ms=NOW + 30)
    assert await store.renew_lease("g2", until_ms=NOW + 40)
    assert (await store.lapse(due_ms=0, settled_ms=0)).gateway_ids == ()
    assert await store.renew_lease("g1", until_ms=NOW + 60)
    lapses = await store.lapse(due_ms=NOW + 40, settled_ms=NOW)
    assert (lapses.gateway_ids, lapses.next_due_ms) == (("g2",), NOW + 60)
    assert not await store.renew_lease("g2", until_ms=NOW + 90)
    lapses = await store.lapse(due_ms=NOW + 60, settled_ms=NOW)
    assert (sorted(lapses.gateway_ids), lapses.next_due_ms) == (["g1", "g2"], None)
    assert (await store.lapse(due_ms=NOW + 100, settled_ms=NOW + 50)).gateway_ids == ("g1",)
    assert (await store.lapse(due_ms=NOW + HOUR, settled_ms=NOW + HOUR)).gateway_ids == ()
    for gateway_id in ("g1", "g2"):
        assert not await store.renew_lease(gateway_id, until_ms=NOW + 2 * HOUR)


async def test_a_lapse_across_replicas(replicas: Sequence[SessionStore]) -> None:
    """Renewals and lapses at once: whoever was told that it holds its lease, does."""
    await replicas[0].renew_lease("g1", until_ms=NOW)
    outcomes = await asyncio.gather(
        *(
            replica.renew_lease("g1", until_ms=NOW + 90)
            if number % 2
            else replica.lapse(due_ms=NOW, settled_ms=0)
            for number, replica in enumerate([*replicas, *replicas])
        )
    )
    lapsed = (await replicas[0].lapse(due_ms=NOW, settled_ms=0)).gateway_ids == ("g1",)
    renewed = {outcome for outcome in outcomes if isinstance(outcome, bool)}
    assert renewed == ({False} if lapsed else {True})


async def test_the_connections_of_a_gateway(store: SessionStore) -> None:
    """Those that are present under its lease, whoever they are; not those of others or of none."""
    await store.create(session(), replace(speaker(), gateway_id="g1"), now_ms=NOW)
    for number in range(4):
        seat = replace(listener(f"c{number}"), gateway_id="g1" if number < 3 else "g2")
        await store.join(seat, capacity=500, now_ms=NOW)
    await store.join(listener("c9"), capacity=500, now_ms=NOW)
    await leave(store, "c0")
    moved = replace(listener("c1"), gateway_id="g1")
    seat = replace(handover(moved, "c5").seat, gateway_id="g2")
    await store.hand_over(replace(handover(moved, "c5"), seat=seat), now_ms=NOW)
    assert sorted(await store.connections_of("g1")) == ["c2", "speaker"]
    assert sorted(await store.connections_of("g2")) == ["c3", "c5"]
    assert await store.connections_of("g3") == ()
