"""How sessions go on and end in every session store, and how that is told."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from babelcast.errors import InvalidParameter, ServiceUnavailable
from session_svc.events import Hub
from session_svc.model import (
    Audience,
    Broadcast,
    Controls,
    Life,
    Snapshot,
)
from session_svc.publishing import PublishingStore
from session_svc.store.base import Refused, SessionStore
from tests.contract.session_places import (
    CODE,
    HOUR,
    NOW,
    audience,
    leave,
    listener,
    place_of,
    session,
    speaker,
)


async def test_updating_the_broadcast(store: SessionStore) -> None:
    """Absent fields stay, also when two change different fields at once; only the speaker may."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    await asyncio.gather(
        store.update_broadcast(CODE, "speaker", Controls(is_paused=True), now_ms=NOW + 1),
        store.update_broadcast(CODE, "speaker", Controls(is_muted=True), now_ms=NOW + 1),
        store.update_broadcast(CODE, "speaker", Controls(volume=0.5), now_ms=NOW + 1),
    )
    change = await store.update_broadcast(CODE, "speaker", Controls(volume=0.5), now_ms=NOW + 2)
    assert not change.changed
    assert change.snapshot.session.broadcast == Broadcast(
        last_change_ms=NOW + 3, is_paused=True, is_muted=True, volume=0.5
    )
    for connection in ("c1", "nobody"):
        with pytest.raises(Refused):
            await store.update_broadcast(CODE, connection, Controls(), now_ms=NOW)
    with pytest.raises(Refused):
        await store.update_broadcast("silver-otter-100", "speaker", Controls(), now_ms=NOW)
    with pytest.raises(Refused):
        await store.update_broadcast(CODE, "speaker", Controls(), now_ms=NOW + 2 * HOUR)


async def test_changes_under_a_clock_that_goes_back(store: SessionStore) -> None:
    """The time of the last change grows with every change, and only then: who compares times sees each."""
    await store.create(session(), speaker(), now_ms=NOW)
    times = []
    for paused, now_ms in (
        (True, NOW + 5),
        (True, NOW + 9),
        (False, NOW - HOUR),
        (True, NOW),
        (False, NOW + 8),
    ):
        change = await store.update_broadcast(CODE, "speaker", Controls(is_paused=paused), now_ms=now_ms)
        assert change.snapshot.session.broadcast.is_paused is paused
        times.append(change.snapshot.session.broadcast.last_change_ms - NOW)
    assert times == [5, 5, 6, 7, 8]


async def test_ending_once(store: SessionStore) -> None:
    """Of ten ends at once one ends the session, and the sweep has nothing to report."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    with pytest.raises(Refused):
        await store.end(CODE, "c1", "x", now_ms=NOW)
    outcomes = await asyncio.gather(
        *(store.end(CODE, "speaker", f"r{i}", now_ms=NOW + 5) for i in range(10)), return_exceptions=True
    )
    ended = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(ended) == 1
    assert ended[0].audience == Audience({"es": 1})
    found = await store.find(CODE)
    assert found is not None
    assert (found.session.ended, found.session.ends_at_ms) == (True, NOW + 5)
    assert found.session.end_reason == ended[0].session.end_reason
    assert (await store.sweep(now_ms=NOW + 10, forget_before_ms=0)).ended == ()


async def test_anybodys_end(store: SessionStore) -> None:
    """An end that names no connection is an end whoever speaks, also while nobody does; once."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    await leave(store, "speaker")
    ended = await store.end(CODE, None, "endedByOperator", now_ms=NOW + 1)
    assert (ended.session.ended, ended.session.end_reason) == (True, "endedByOperator")
    assert ended.audience == Audience({"es": 1})
    with pytest.raises(Refused):
        await store.end(CODE, None, "endedByOperator", now_ms=NOW + 2)
    with pytest.raises(Refused):
        await store.end("silver-otter-100", None, "endedByOperator", now_ms=NOW)


async def test_leaving(store: SessionStore) -> None:
    """A listener stops counting, a speaker's grace begins, and it happens once."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    left = await asyncio.gather(*(leave(store, "c1") for _ in range(5)))
    assert sum(outcome is not None for outcome in left) == 1
    assert await audience(store) == Audience({})
    assert await leave(store, "speaker")
    assert await leave(store, "speaker", NOW + 1000) is None
    assert await leave(store, "nobody") is None
    found = await store.find(CODE)
    assert found is not None
    assert found.session.ends_at_ms == NOW + 30_000
    assert found.session.life(NOW + 29_999) is Life.LIVE
    assert found.session.life(NOW + 30_000) is Life.OVER


async def test_everybody_leaving(store: SessionStore) -> None:
    """Live sessions begin their grace, those already in it keep theirs, and ended ones stay ended."""
    codes = [f"golden-eagle-{number}" for number in (100, 200, 300)]
    for code in codes:
        await store.create(session(code, code), speaker(code, code), now_ms=NOW)
        await store.join(listener(f"l-{code}", code=code), capacity=500, now_ms=NOW)
    await leave(store, codes[1])
    await store.end(codes[2], codes[2], "bye", now_ms=NOW)
    later = NOW + 10_000
    await store.leave_all(grace_until_ms=later + 30_000, resumable_until_ms=later + 120_000, now_ms=later)
    ends = []
    for code in codes:
        found = await store.find(code)
        assert found is not None
        ends.append((found.session.ends_at_ms, found.session.end_reason, found.session.ended))
        if code != codes[2]:
            assert found.audience == Audience({})
    assert ends == [
        (later + 30_000, "speakerDisconnected", False),
        (NOW + 30_000, "speakerDisconnected", False),
        (NOW, "bye", True),
    ]


async def test_sweeping(store: SessionStore) -> None:
    """Each end is reported by one sweep; seats are given up; then all is forgotten and the code is free."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    await store.join(replace(listener("c2", "fr"), until_ms=NOW + 2 * HOUR), capacity=500, now_ms=NOW)
    first = await store.sweep(now_ms=NOW, forget_before_ms=0)
    assert (first.ended, first.audiences, first.next_due_ms) == ((), (), NOW + HOUR)
    second = await store.sweep(now_ms=NOW + HOUR, forget_before_ms=0)
    assert [snapshot.audience for snapshot in second.audiences] == [Audience({"fr": 1})]
    assert second.next_due_ms == NOW + 2 * HOUR
    due = NOW + 2 * HOUR
    sweeps = await asyncio.gather(*(store.sweep(now_ms=due, forget_before_ms=due) for _ in range(5)))
    assert [ended.session_id for swept in sweeps for ended in swept.ended] == [CODE]
    assert all(swept.audiences == () for swept in sweeps)
    assert await store.find(CODE) is not None
    await store.sweep(now_ms=due + 1, forget_before_ms=due + 1)
    assert await store.find(CODE) is None
    assert await store.seat("speaker") is None
    await store.create(session(), speaker(), now_ms=NOW)


async def test_left_seats_are_swept_in_silence(store: SessionStore) -> None:
    """A seat that nobody resumed goes without a change of audience."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    await leave(store, "c1")
    swept = await store.sweep(now_ms=NOW + 120_000, forget_before_ms=0)
    assert swept.audiences == ()
    assert await store.seat("c1") is None


async def test_pages_of_live_sessions(store: SessionStore) -> None:
    """The pages together hold each live session once, and none that is over."""
    codes = [f"silver-otter-{100 + number}" for number in range(9)]
    for code in codes:
        await store.create(session(code, f"s-{code}"), speaker(code, f"s-{code}"), now_ms=NOW)
    await store.join(listener("c1", code=codes[4]), capacity=500, now_ms=NOW)
    await store.end(codes[0], None, "over", now_ms=NOW)
    await leave(store, f"s-{codes[1]}", NOW - HOUR)
    seen: list[Snapshot] = []
    cursor = ""
    for _ in range(20):
        page = await store.live_page(cursor, limit=2, now_ms=NOW)
        assert len(page.snapshots) <= 2
        seen += page.snapshots
        cursor = page.cursor
        if not cursor:
            break
    assert sorted(snapshot.session.session_id for snapshot in seen) == codes[2:]
    assert [one.audience for one in seen if one.session.session_id == codes[4]] == [Audience({"es": 1})]
    assert len((await store.live_page("", limit=100, now_ms=NOW)).snapshots) == 7


async def test_a_cursor_that_is_none(store: SessionStore) -> None:
    """What is not a store's cursor is refused, or is as good as one after all sessions."""
    await store.create(session(), speaker(), now_ms=NOW)
    for cursor in ("zzz", "x/y", "/", "-1/x", "9" * 20 + "/x", "١/x"):
        with suppress(InvalidParameter):
            page = await store.live_page(cursor, limit=5, now_ms=NOW)
            assert len(page.snapshots) <= 1


@pytest.mark.parametrize("kind", ["sqlite", "dynamodb"])
async def test_changes_are_told_in_their_order(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The last audience that watchers hear of is the one there is."""
    hub = Hub()
    async with place_of(kind, tmp_path, request) as place:
        await tell_changes(PublishingStore(await place.open(), hub), hub)


async def tell_changes(store: SessionStore, hub: Hub) -> None:
    """Come and go, and compare what is told."""
    await store.create(session(), speaker(), now_ms=NOW)
    with hub.watch() as watch:
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(store.join(listener(f"c{number}"), capacity=500, now_ms=NOW))
                if number % 2:
                    group.create_task(leave(store, f"c{number - 1}"))
            group.create_task(store.sweep(now_ms=NOW, forget_before_ms=0))
        await store.sweep(now_ms=NOW + HOUR, forget_before_ms=0)
        hub.close()
        heard = []
        with pytest.raises(ServiceUnavailable):
            async for event in watch:
                assert isinstance(event.change, Audience)
                heard.append(event.change.listener_count)
    assert heard[-1] == 0
    assert all(abs(after - before) == 1 for before, after in pairwise(heard[:-1]))
    await store.aclose()
