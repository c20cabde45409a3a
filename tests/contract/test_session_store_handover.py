"""How every session store passes seats on."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from session_svc.model import (
    Audience,
    Role,
)
from session_svc.store.base import Change, Refused, SessionStore
from tests.contract.session_places import (
    CODE,
    HOUR,
    NOW,
    audience,
    handover,
    leave,
    listener,
    session,
    speaker,
)


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


async def test_where_a_seat_went(store: SessionStore) -> None:
    """The connection that had it last leads to it, as long as the seat is where it says."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=2, now_ms=NOW)
    assert await store.successor("c1") is None
    passing = handover(listener("c1"), "c2", b"two")
    await store.hand_over(passing, now_ms=NOW)
    assert await store.successor("c1") == await store.seat("c2") == passing.seat
    assert await store.successor("c2") is None
    # once more by the token that c1 had
    again = replace(handover(passing.seat, "c3", b"three"), seat=replace(passing.seat, connection_id="c3"))
    await store.hand_over(again, now_ms=NOW)
    assert await store.successor("c1") == await store.seat("c3") == again.seat
    assert await store.seat("c1") is await store.seat("c2") is await store.successor("c2") is None
    # onto the connection that had it first
    back = replace(again, old_connection_id="c3", seat=replace(again.seat, connection_id="c1"))
    await store.hand_over(replace(back, expected_hash=again.seat.token_hash), now_ms=NOW)
    assert await store.seat("c1") == back.seat
    # and by its own token
    onward = handover(back.seat, "c4", b"four")
    await store.hand_over(onward, now_ms=NOW)
    assert await store.successor("c1") == onward.seat
    assert await audience(store) == Audience({"es": 1})


async def test_a_connection_whose_seat_went_may_have_another(store: SessionStore) -> None:
    """Then it leads nowhere else, until that goes too."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=9, now_ms=NOW)
    await store.hand_over(handover(listener("c1"), "c2"), now_ms=NOW)
    other = replace(listener("c1", "fr"), token_hash=b"other")
    await store.join(other, capacity=9, now_ms=NOW)
    assert await store.seat("c1") == other
    second = handover(other, "c3")
    await store.hand_over(second, now_ms=NOW)
    assert await store.successor("c1") == second.seat
    assert await audience(store) == Audience({"es": 1, "fr": 1})


async def test_handing_over_the_speakers_seat(store: SessionStore) -> None:
    """The new connection is the session's, for the new time."""
    await store.create(session(), speaker(), now_ms=NOW)
    await leave(store, "speaker")
    change = await store.hand_over(handover(speaker(), "s2"), now_ms=NOW + 29_999)
    assert change.snapshot.session.speaker_connection_id == "s2"
    assert change.snapshot.session.ends_at_ms == NOW + 4 * HOUR
    assert change.snapshot.session.expires_at_ms == NOW + 4 * HOUR
    assert change.snapshot.session.end_reason == "expired"
    assert change.snapshot.session.owner_epoch == 2
    assert not change.changed
    with pytest.raises(Refused):
        await store.end(CODE, "speaker", "x", now_ms=NOW)
    assert await store.end(CODE, "s2", "x", now_ms=NOW)


async def test_who_has_spoken_is_counted(store: SessionStore) -> None:
    """The owner's epoch grows when the speaker's seat moves, and only then; all that is read has it."""
    await store.create(session(), speaker(), now_ms=NOW)
    joined = await store.join(listener("c1"), capacity=500, now_ms=NOW)
    await store.hand_over(handover(listener("c1"), "c2"), now_ms=NOW)
    rotated = await store.rotate("speaker", b"s" * 32, now_ms=NOW)
    assert [snapshot.session.owner_epoch for snapshot in (joined, rotated)] == [1, 1]
    await store.hand_over(handover(speaker(), "s2", b"two"), now_ms=NOW)
    await leave(store, "s2")
    held = await store.seat("s2")
    assert held is not None
    back = handover(replace(held, present=True), "s3", b"three")
    moved = await store.hand_over(back, now_ms=NOW)
    found = await store.find(CODE)
    page = await store.live_page("", limit=9, now_ms=NOW)
    ended = await store.end(CODE, "s3", "x", now_ms=NOW)
    assert found is not None
    seen = (moved.snapshot, found, *page.snapshots, ended)
    assert [snapshot.session.owner_epoch for snapshot in seen] == [3, 3, 3, 3]


async def test_two_take_over_at_once(replicas: Sequence[SessionStore]) -> None:
    """Of those who take a speaker's seat over with one token one gets it, each time with another epoch."""
    await replicas[0].create(session(), speaker(), now_ms=NOW)
    old, epochs = speaker(), []
    for turn in range(4):
        outcomes = await asyncio.gather(
            *(
                store.hand_over(handover(old, f"s{turn}-{place}", b"%d" % turn), now_ms=NOW)
                for place, store in enumerate(replicas)
            ),
            return_exceptions=True,
        )
        won = [outcome for outcome in outcomes if isinstance(outcome, Change)]
        assert len(won) == 1
        assert sum(isinstance(outcome, Refused) for outcome in outcomes) == len(replicas) - 1
        epochs.append(won[0].snapshot.session.owner_epoch)
        held = await replicas[0].seat(won[0].snapshot.session.speaker_connection_id)
        assert held is not None
        old = held
    assert epochs == [2, 3, 4, 5]


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
