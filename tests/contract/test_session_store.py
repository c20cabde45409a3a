"""What every session store must do; each is run against the whole suite."""

import asyncio
import secrets
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Protocol, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from babelcast.errors import InvalidParameter, ServiceUnavailable
from session_svc import ids
from session_svc.config import SessionConfig, policy
from session_svc.events import Hub
from session_svc.model import (
    Audience,
    Broadcast,
    Controls,
    GlossaryTerm,
    Life,
    QualityTier,
    Role,
    Seat,
    Session,
    Settings,
    Snapshot,
)
from session_svc.publishing import PublishingStore
from session_svc.quotas import Quota
from session_svc.sessions import Chance, Sessions
from session_svc.store.base import CodeTaken, Handover, Refused, SessionStore, StoreUnavailable
from session_svc.store.committer import Committer
from session_svc.store.dynamodb import DynamoDbStore
from session_svc.store.dynamodb.calls import Calls, Client
from session_svc.store.dynamodb.client import open_client
from session_svc.store.dynamodb.provisioning import Provisioning
from session_svc.store.dynamodb.tables import TableNames, tables
from session_svc.store.sqlite import SqliteStore

# Far ahead of any wall clock, which DynamoDB deletes rows by.
NOW = 4_000_000_000_000
HOUR = 3_600_000
CODE = "golden-eagle-427"
DYNAMODB_EXAMPLES = 12


class Place(Protocol):
    """Where a record is kept; any number of stores may be opened on it, as replicas do."""

    async def open(self) -> SessionStore:
        """A store on the record."""
        ...


@dataclass(frozen=True)
class File:
    """An SQLite file."""

    directory: Path

    async def open(self) -> SessionStore:
        """See Place."""
        return await SqliteStore.open(self.directory / "sessions.sqlite3")


@dataclass(frozen=True)
class DynamoDb:
    """Tables in DynamoDB Local; the stores share a client, since making one takes longer than most tests."""

    names: TableNames
    client: Client

    async def open(self) -> SessionStore:
        """See Place."""
        return DynamoDbStore(Calls(self.client), self.names, clock=lambda: NOW)


@dataclass(frozen=True)
class Published:
    """Another place, as the service uses it."""

    place: Place

    async def open(self) -> SessionStore:
        """See Place."""
        return PublishingStore(await self.place.open(), Hub())


PLACES = ["sqlite", "sqlite, published", "dynamodb"]


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Each kind of place, empty."""
    kind, _, published = request.param.partition(", ")
    async with place_of(kind, tmp_path, request) as made:
        yield Published(made) if published else made


@asynccontextmanager
async def place_of(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A place of that kind, empty."""
    if kind == "sqlite":
        yield File(tmp_path)
        return
    async with empty_tables(request.getfixturevalue("dynamodb")) as made:
        yield made


@asynccontextmanager
async def empty_tables(names: TableNames) -> AsyncIterator[DynamoDb]:
    """Tables with these names, just made."""
    client, close = await open_client("eu-west-1")
    try:
        await asyncio.gather(*(Provisioning(client, {}).create(table) for table in tables(names)))
        yield DynamoDb(names, client)
    finally:
        await close()


@pytest.fixture
async def store(place: Place) -> AsyncIterator[SessionStore]:
    """A store on each kind of place."""
    made = await place.open()
    yield made
    await made.aclose()


@pytest.fixture
async def replicas(place: Place) -> AsyncIterator[Sequence[SessionStore]]:
    """Four stores on each kind of place, as four processes would have."""
    made = [await place.open() for _ in range(4)]
    yield made
    for one in made:
        await one.aclose()


def session(code: str = CODE, connection_id: str = "speaker") -> Session:
    """A session with every field set to something."""
    return Session(
        session_id=code,
        speaker_id="anna",
        speaker_connection_id=connection_id,
        settings=Settings(
            source_language="en",
            quality_tier=QualityTier.PREMIUM,
            partial_results=False,
            min_stability=0.75,
            max_buffer_timeout_s=3.5,
            glossary=(GlossaryTerm("Bézier", {"es": "Bézier", "fr": "« Bézier »"}),),
        ),
        broadcast=Broadcast(last_change_ms=NOW, volume=0.25),
        created_at_ms=NOW,
        expires_at_ms=NOW + 2 * HOUR,
        ends_at_ms=NOW + 2 * HOUR,
    )


def speaker(code: str = CODE, connection_id: str = "speaker") -> Seat:
    """The speaker's seat."""
    return Seat(connection_id, code, Role.SPEAKER, b"s" * 32, NOW + 2 * HOUR, request_id="r1")


def listener(connection_id: str, language: str = "es", code: str = CODE) -> Seat:
    """A listener's seat."""
    return Seat(
        connection_id, code, Role.LISTENER, connection_id.encode(), NOW + HOUR, target_language=language
    )


def handover(old: Seat, connection_id: str, token_hash: bytes = b"next", capacity: int = 500) -> Handover:
    """`old` as it passes to a connection."""
    seat = replace(old, connection_id=connection_id, token_hash=token_hash, until_ms=NOW + 4 * HOUR)
    return Handover(old.connection_id, old.token_hash, seat, NOW + 4 * HOUR, capacity)


async def leave(store: SessionStore, connection_id: str, now_ms: int = NOW) -> object:
    """A connection goes."""
    return await store.leave(
        connection_id, grace_until_ms=now_ms + 30_000, resumable_until_ms=now_ms + 120_000, now_ms=now_ms
    )


async def audience(store: SessionStore, code: str = CODE) -> Audience:
    """Who listens."""
    found = await store.find(code)
    assert found is not None
    return found.audience


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


async def test_handing_over_a_listeners_seat(store: SessionStore) -> None:
    """A seat that is taken moves without anybody noticing; one that was left counts again."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=1, now_ms=NOW)
    moved = await store.hand_over(handover(listener("c1"), "c2", capacity=1), now_ms=NOW)
    assert (moved.snapshot.audience, moved.changed) == (Audience({"es": 1}), False)
    assert await store.seat("c1") is None
    now_held = await store.seat("c2")
    assert now_held is not None
    await leave(store, "c2")
    back = await store.hand_over(handover(now_held, "c3", b"third"), now_ms=NOW)
    assert (back.snapshot.audience, back.changed) == (Audience({"es": 1}), True)
    held = await store.seat("c3")
    assert held is not None
    in_french = replace(handover(held, "c4").seat, target_language="fr")
    other = await store.hand_over(replace(handover(held, "c4"), seat=in_french), now_ms=NOW)
    assert (other.snapshot.audience, other.changed) == (Audience({"fr": 1}), True)


async def test_handing_over_the_speakers_seat(store: SessionStore) -> None:
    """The new connection is the session's, for the new time."""
    await store.create(session(), speaker(), now_ms=NOW)
    await leave(store, "speaker")
    change = await store.hand_over(handover(speaker(), "s2"), now_ms=NOW + 29_999)
    assert change.snapshot.session.speaker_connection_id == "s2"
    assert change.snapshot.session.ends_at_ms == NOW + 4 * HOUR
    assert change.snapshot.session.expires_at_ms == NOW + 4 * HOUR
    assert change.snapshot.session.end_reason == "expired"
    assert not change.changed
    with pytest.raises(Refused):
        await store.end(CODE, "speaker", "x", now_ms=NOW)
    assert await store.end(CODE, "s2", "x", now_ms=NOW)


async def test_a_token_is_used_once(store: SessionStore) -> None:
    """Of 20 connections with one token at once, one gets the seat."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    outcomes = await asyncio.gather(
        *(store.hand_over(handover(listener("c1"), f"n{i}"), now_ms=NOW) for i in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 19
    assert await audience(store) == Audience({"es": 1})


async def test_when_a_seat_is_not_handed_over(store: SessionStore) -> None:
    """Not with another hash, to a seated connection, without room, too late, across roles, or when over."""
    await store.create(session(), speaker(), now_ms=NOW)
    for connection in ("c1", "c2"):
        await store.join(listener(connection), capacity=500, now_ms=NOW)
    await leave(store, "c1")
    good = handover(listener("c1"), "c3")
    across = replace(good, seat=replace(good.seat, role=Role.SPEAKER))
    for bad, now_ms in [
        (replace(good, expected_hash=b"other"), NOW),
        (handover(listener("c1"), "c2"), NOW),
        (handover(listener("c2"), "c2"), NOW),
        (replace(good, capacity=1), NOW),
        (good, NOW + 120_000),
        (across, NOW),
        (good, NOW + 3 * HOUR),
        (handover(listener("nobody"), "c3"), NOW),
    ]:
        with pytest.raises(Refused):
            await store.hand_over(bad, now_ms=now_ms)
    assert await audience(store) == Audience({"es": 1})
    assert (await store.hand_over(good, now_ms=NOW)).changed


async def test_a_connection_resumes_its_own_left_seat(store: SessionStore) -> None:
    """A connection that was thought gone takes its own seat again."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    await leave(store, "c1")
    assert (await store.hand_over(handover(listener("c1"), "c1"), now_ms=NOW)).changed


async def test_rotating(store: SessionStore) -> None:
    """A seat that counts gets another hash; one that does not is refused."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.rotate("speaker", b"new", now_ms=NOW)
    seat = await store.seat("speaker")
    assert seat is not None
    assert seat.token_hash == b"new"
    with pytest.raises(Refused):
        await store.rotate("nobody", b"new", now_ms=NOW)
    await leave(store, "speaker")
    with pytest.raises(Refused):
        await store.rotate("speaker", b"newer", now_ms=NOW)


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


async def test_quotas_under_concurrency(store: SessionStore) -> None:
    """Of 100 concurrent takes from a quota of 30, exactly 30 are granted; keys are separate."""
    quota = Quota(30, 60_000)
    verdicts = await asyncio.gather(*(store.take("k", quota, now_ms=NOW) for _ in range(100)))
    assert sum(verdict.granted for verdict in verdicts) == 30
    assert (await store.take("other", quota, now_ms=NOW)).granted
    await store.sweep(now_ms=NOW + 1_999, forget_before_ms=0)
    assert not (await store.take("k", quota, now_ms=NOW + 1_999)).granted
    assert (await store.take("k", quota, now_ms=NOW + 2_000)).granted
    await store.sweep(now_ms=NOW + HOUR, forget_before_ms=0)
    verdicts = [await store.take("k", quota, now_ms=NOW + HOUR) for _ in range(31)]
    assert sum(verdict.granted for verdict in verdicts) == 30


async def test_quotas_across_replicas(replicas: Sequence[SessionStore]) -> None:
    """A quota is shared by all stores; after a pause it is full again, for all of them."""
    quota = Quota(30, 60_000)
    for now_ms in (NOW, NOW + HOUR):
        verdicts = await asyncio.gather(
            *(replicas[i % 4].take("k", quota, now_ms=now_ms) for i in range(100))
        )
        assert sum(verdict.granted for verdict in verdicts) == 30
        assert {verdict.retry_after_s for verdict in verdicts if not verdict.granted} == {2.0}


async def test_a_quota_and_a_clock_that_goes_back(store: SessionStore) -> None:
    """A bucket filled in the future counts as empty, and is full again after one window."""
    quota = Quota(30, 60_000)
    await store.take("k", quota, now_ms=NOW + HOUR)
    refused = await store.take("k", quota, now_ms=NOW)
    assert (refused.granted, refused.retry_after_s) == (False, 2.0)
    assert (await store.take("k", quota, now_ms=NOW + 2_000)).granted


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
Step = tuple[str, int, str, int]
CONNECTIONS = 6
CAP = 3

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "join", "leave", "language", "resume", "end", "sweep", "forget"]),
        st.integers(0, CONNECTIONS - 1),
        st.sampled_from(["es", "fr"]),
        st.integers(0, 1),
    ),
    min_size=12,
    max_size=30,
)
FUSES = st.lists(st.integers(0, 120), max_size=3)


@dataclass(frozen=True)
class Game:
    """Two sessions and six connections, named so that no other game has them."""

    name: str

    def code(self, number: int) -> str:
        """A session."""
        return f"{self.name}-{number}"

    def connection(self, number: int) -> str:
        """A listener."""
        return f"{self.name}-c{number % CONNECTIONS}"

    async def begin(self, store: SessionStore) -> None:
        """Make the sessions."""
        for number in (0, 1):
            code = self.code(number)
            await store.create(session(code, code), speaker(code, code), now_ms=NOW)

    async def step(self, store: SessionStore, step: Step) -> None:
        """Try something; it may be refused, and the store may end in the midst of it."""
        with suppress(Refused, StoreUnavailable, Crash):
            await self._step(store, step)

    async def _step(self, store: SessionStore, step: Step) -> None:
        action, number, language, which = step
        connection, code = self.connection(number), self.code(which)
        match action:
            case "join":
                await store.join(listener(connection, language, code), capacity=CAP, now_ms=NOW)
            case "leave":
                await leave(store, connection)
            case "language":
                await store.change_language(connection, language, now_ms=NOW)
            case "end" if number < 2:
                await store.end(code, code, "bye", now_ms=NOW)
            case "sweep" if number < 3:
                await store.sweep(now_ms=NOW + HOUR, forget_before_ms=0)
            case "forget" if number < 3:
                await store.sweep(now_ms=NOW, forget_before_ms=NOW + 1)
            case "resume":
                seat = await store.seat(connection)
                if seat is not None:
                    passing = handover(seat, self.connection(number + 1), seat.token_hash, capacity=CAP)
                    if which:
                        passing = replace(passing, seat=replace(passing.seat, target_language=language))
                    await store.hand_over(passing, now_ms=NOW)

    async def check(self, store: SessionStore) -> None:
        """Counters are the rows, within the cap; who has no session counts nowhere."""
        seats = [await store.seat(self.connection(number)) for number in range(CONNECTIONS)]
        for number in (0, 1):
            code = self.code(number)
            there = [seat for seat in seats if seat is not None and seat.session_id == code]
            found = await store.find(code)
            if found is None:
                assert not there
                continue
            held = Counter(seat.target_language for seat in there if seat.present)
            assert found.audience == Audience(dict(held))
            assert found.audience.listener_count <= CAP

    async def play(self, place: Mortal, steps: Sequence[Step], fuses: Sequence[int], batch: int) -> None:
        """Take the steps, some at once; when the store's fuse blows, look, and go on with another store."""
        lives = [Fuse(steps) for steps in fuses]
        observer = await place.open(Fuse(1_000_000))
        await self.begin(observer)
        fuse = lives.pop() if lives else Fuse(1_000_000)
        store = await place.open(fuse)
        for start in range(0, len(steps), batch):
            await asyncio.gather(*(self.step(store, step) for step in steps[start : start + batch]))
            if fuse.steps < 0:
                await store.aclose()  # as its end would, this lets go of the file
            await self.check(observer)
            if fuse.steps < 0:
                fuse = lives.pop() if lives else Fuse(1_000_000)
                store = await place.open(fuse)
        await store.aclose()
        await observer.aclose()


@given(steps=STEPS, fuses=FUSES, batch=st.integers(1, 8))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counters_never_drift(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], fuses: list[int], batch: int
) -> None:
    """However steps interleave, and wherever a process ends, the counters are the rows (SQLite)."""
    place = MortalFile(tmp_path_factory.mktemp("store"))
    asyncio.run(Game("talk").play(place, steps, fuses, batch))


def test_counters_never_drift_in_dynamodb(dynamodb: TableNames) -> None:
    """However steps interleave, and wherever a process ends, the counters are the rows (DynamoDB)."""
    numbers = count()

    @given(steps=STEPS, fuses=FUSES, batch=st.integers(1, 8))
    @settings(max_examples=DYNAMODB_EXAMPLES, phases=[Phase.generate])  # making one small takes minutes
    def play(steps: list[Step], fuses: list[int], batch: int) -> None:
        runner.run(Game(f"talk{next(numbers)}").play(MortalTables(place), steps, fuses, batch))

    with asyncio.Runner() as runner:
        opened = empty_tables(dynamodb)
        place = runner.run(opened.__aenter__())
        play()
        runner.run(opened.__aexit__(None, None, None))
