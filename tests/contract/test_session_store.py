"""What every session store must do with sessions and seats; each is run against the whole suite."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence

import pytest

from session_svc import ids
from session_svc.config import SessionConfig, policy
from session_svc.model import (
    Audience,
    Settings,
    Snapshot,
)
from session_svc.sessions import Chance, Sessions
from session_svc.store.base import CodeTaken, Refused, SessionStore, StoreUnavailable
from tests.contract.session_places import CODE, HOUR, NOW, Place, audience, leave, listener, session, speaker


async def test_what_is_put_in_comes_out(store: SessionStore) -> None:
    """A session and a seat are read back whole; what is not there is None."""
    await store.create(session(), speaker(), now_ms=NOW)
    found = await store.find(CODE)
    assert found is not None
    assert found.session == session()
    assert found.audience == Audience({})
    assert await store.seat("speaker") == speaker()
    assert await store.find("silver-otter-100") is None
    assert await store.seat("nobody") is None


async def test_a_code_is_taken_once(store: SessionStore) -> None:
    """Of 20 sessions with one code at once, one is made; a taken code leaves no seat behind."""
    made = await asyncio.gather(
        *(store.create(session(CODE, f"c{i}"), speaker(CODE, f"c{i}"), now_ms=NOW) for i in range(20)),
        return_exceptions=True,
    )
    assert Counter(type(outcome) for outcome in made) == {type(None): 1, CodeTaken: 19}
    assert sum([await store.seat(f"c{i}") is not None for i in range(20)]) == 1


async def test_a_connection_has_one_seat(store: SessionStore) -> None:
    """Neither a second session nor a join is for a connection that is seated."""
    await store.create(session(), speaker(), now_ms=NOW)
    with pytest.raises(Refused):
        await store.create(session("silver-otter-100"), speaker("silver-otter-100"), now_ms=NOW)
    assert await store.find("silver-otter-100") is None
    with pytest.raises(Refused):
        await store.join(listener("speaker"), capacity=500, now_ms=NOW)
    outcomes = await asyncio.gather(
        *(store.join(listener("c1"), capacity=500, now_ms=NOW) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 9
    assert await audience(store) == Audience({"es": 1})


async def test_capacity_under_concurrency(store: SessionStore) -> None:
    """200 concurrent joins with a cap of 50 admit exactly 50, and other sessions are not concerned."""
    await store.create(session(), speaker(), now_ms=NOW)
    other = "silver-otter-100"
    await store.create(session(other, "s2"), speaker(other, "s2"), now_ms=NOW)
    outcomes = await asyncio.gather(
        *(store.join(listener(f"c{i}"), capacity=50, now_ms=NOW) for i in range(200)),
        *(store.join(listener(f"o{i}", code=other), capacity=50, now_ms=NOW) for i in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 150
    assert await audience(store) == Audience({"es": 50})
    assert await audience(store, other) == Audience({"es": 20})


async def test_capacity_across_replicas(replicas: Sequence[SessionStore]) -> None:
    """200 concurrent joins through four stores with a cap of 50 admit exactly 50, and none fails."""
    first, *_ = replicas
    await first.create(session(), speaker(), now_ms=NOW)
    outcomes = await asyncio.gather(
        *(replicas[i % 4].join(listener(f"c{i}"), capacity=50, now_ms=NOW) for i in range(200)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 150
    assert sum(isinstance(outcome, Snapshot) for outcome in outcomes) == 50
    assert await audience(first) == Audience({"es": 50})
    seats = [await first.seat(f"c{i}") for i in range(200)]
    assert sum(seat is not None for seat in seats) == 50


async def test_changes_across_replicas(replicas: Sequence[SessionStore]) -> None:
    """Who joins, moves and leaves through different stores at once is counted where they are in the end."""
    first, *_ = replicas
    await first.create(session(), speaker(), now_ms=NOW)

    async def visit(number: int) -> None:
        connection = f"c{number}"
        await replicas[number % 4].join(listener(connection), capacity=500, now_ms=NOW)
        if number % 2:
            await replicas[(number + 1) % 4].change_language(connection, "fr", now_ms=NOW)
        if number % 3 == 0:
            await asyncio.gather(*(leave(replica, connection) for replica in replicas))

    await asyncio.gather(*(visit(number) for number in range(24)))
    assert await audience(first) == Audience({"es": 8, "fr": 8})


async def test_a_join_needs_a_live_session(store: SessionStore) -> None:
    """Nobody joins a session that is not there, over by its time, or ended."""
    with pytest.raises(Refused):
        await store.join(listener("c1"), capacity=500, now_ms=NOW)
    await store.create(session(), speaker(), now_ms=NOW)
    with pytest.raises(Refused):
        await store.join(listener("c1"), capacity=500, now_ms=NOW + 2 * HOUR)
    await store.end(CODE, "speaker", "speakerEnded", now_ms=NOW)
    with pytest.raises(Refused):
        await store.join(listener("c1"), capacity=500, now_ms=NOW)
    assert await store.seat("c1") is None


async def test_a_seat_in_a_session_that_is_over_does_not_count(store: SessionStore) -> None:
    """Its connection is free to be seated again."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    await store.end(CODE, "speaker", "speakerEnded", now_ms=NOW)
    other = "silver-otter-100"
    await store.create(session(other), speaker(other), now_ms=NOW)
    await store.join(listener("c1", code=other), capacity=500, now_ms=NOW)
    assert await audience(store, other) == Audience({"es": 1})
    assert await audience(store) == Audience({})


async def test_changing_language(store: SessionStore) -> None:
    """Only a listener who is there moves."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    changed = await store.change_language("c1", "fr", now_ms=NOW)
    assert (changed.snapshot.audience, changed.changed) == (Audience({"fr": 1}), True)
    assert not (await store.change_language("c1", "fr", now_ms=NOW)).changed
    await leave(store, "c1")
    for connection in ("speaker", "nobody", "c1"):
        with pytest.raises(Refused):
            await store.change_language(connection, "pt", now_ms=NOW)


async def test_a_repeated_request_makes_one_session(replicas: Sequence[SessionStore]) -> None:
    """A creation that is asked for again and again, also through other replicas, gets the same session."""
    everybody = [
        Sessions(
            replica,
            policy(SessionConfig()),
            words=ids.load_words(),
            now_ms=lambda: NOW,
            chance=Chance(secrets.randbelow, secrets.token_bytes, address_key=b"k"),
        )
        for replica in replicas
    ]
    granted = await asyncio.gather(
        *(
            everybody[i % 4].create(
                Settings(source_language="en"), request_id="r1", speaker_id="anna", connection_id="c1"
            )
            for i in range(12)
        )
    )
    assert len({one.snapshot.session.session_id for one in granted}) == 1


async def test_a_closed_store(store: SessionStore) -> None:
    """A store that is closed says so, and may be closed twice."""
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreUnavailable):
        await store.find(CODE)


async def test_reopening(place: Place) -> None:
    """What was there when a store was closed, and its times, are there when it is opened again."""
    first = await place.open()
    await first.create(session(), speaker(), now_ms=NOW)
    await first.join(listener("c1"), capacity=500, now_ms=NOW)
    await leave(first, "speaker")
    before = await first.find(CODE)
    await first.aclose()
    second = await place.open()
    assert await second.find(CODE) == before
    assert await second.seat("c1") == listener("c1")
    assert [ended.session_id for ended in (await second.sweep(now_ms=NOW + 30_000, forget_before_ms=0)).ended]
    await second.aclose()
