"""The limits that every session store keeps: rates, and the sessions of a speaker."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from session_svc.quotas import Quota
from session_svc.store.base import Charge, CodeTaken, Refused, SessionStore, SpeakerBusy, UsedUp
from session_svc.store.dynamodb import limits
from tests.contract.session_places import (
    CODE,
    HOUR,
    NOW,
    handover,
    leave,
    listener,
    session,
    speaker,
)

NOWHERE = "silver-otter-100"
QUOTA = Quota(30, 60_000)
SECOND = 1000


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let limiters take their time: on a busy machine some would be passed by, and let people in."""
    monkeypatch.setattr(limits, "TAKE_S", 60.0)


async def take(store: SessionStore, key: str = "k", now_ms: int = NOW) -> float:
    """Pay for a seat that cannot be had; 0, or the time in s after which there is something to pay with."""
    try:
        await store.join(
            listener("c1", code=NOWHERE), capacity=9, charge=Charge(key, "joins", QUOTA), now_ms=now_ms
        )
    except UsedUp as used_up:
        return used_up.retry_after_s
    except Refused:
        return 0
    raise AssertionError("there is no such session")


async def create(
    store: SessionStore, number: int, *, at_most: int = 1, name: str = "anna", now_ms: int = NOW
) -> None:
    """One of a speaker's sessions."""
    code = f"golden-eagle-{number}"
    made = replace(session(code, code), speaker_id=name)
    await store.create(made, speaker(code, code), at_most=at_most, now_ms=now_ms)


async def test_quotas_under_concurrency(store: SessionStore) -> None:
    """Of 100 concurrent charges to a quota of 30, exactly 30 are made; keys are separate."""
    waits = await asyncio.gather(*(take(store) for _ in range(100)))
    assert waits.count(0) == 30
    assert not await take(store, "other")
    await store.sweep(now_ms=NOW + 1_999, forget_before_ms=0)
    assert await take(store, now_ms=NOW + 1_999)
    assert not await take(store, now_ms=NOW + 2_000)
    await store.sweep(now_ms=NOW + HOUR, forget_before_ms=0)
    waits = [await take(store, now_ms=NOW + HOUR) for _ in range(31)]
    assert waits.count(0) == 30


async def test_quotas_across_replicas(replicas: Sequence[SessionStore]) -> None:
    """A quota is shared by all stores; after a pause it is full again, for all of them."""
    for now_ms in (NOW, NOW + HOUR):
        waits = await asyncio.gather(*(take(replicas[i % 4], now_ms=now_ms) for i in range(100)))
        assert Counter(waits) == {0: 30, 2.0: 70}


async def test_a_quota_and_a_clock_that_goes_back(store: SessionStore) -> None:
    """A bucket filled in the future counts as empty, and is full again after one window."""
    await take(store, now_ms=NOW + HOUR)
    assert await take(store) == 2.0
    assert not await take(store, now_ms=NOW + 2_000)


async def test_who_is_charged(store: SessionStore) -> None:
    """Whoever is let in or refused pays once; whoever has a seat does not; who cannot pay is not let in."""
    charge = Charge("k", "seats", Quota(3, 60_000))
    await store.create(session(), speaker(), charge=charge, now_ms=NOW)
    await store.join(listener("c1"), capacity=1, charge=charge, now_ms=NOW)
    for _ in range(5):
        with pytest.raises(Refused):
            await store.join(listener("c1"), capacity=1, charge=charge, now_ms=NOW)
        with pytest.raises(Refused):
            await store.create(session(NOWHERE), speaker(NOWHERE), charge=charge, now_ms=NOW)
    with pytest.raises(CodeTaken):
        await store.create(session(CODE, "s2"), speaker(CODE, "s2"), charge=charge, now_ms=NOW)
    with pytest.raises(UsedUp) as used_up:
        await store.join(listener("c2"), capacity=500, charge=charge, now_ms=NOW)
    assert used_up.value.retry_after_s == 20.0
    with pytest.raises(UsedUp):
        await store.create(session(NOWHERE, "s2"), speaker(NOWHERE, "s2"), charge=charge, now_ms=NOW)
    assert await store.seat("c2") is None
    assert await store.find(NOWHERE) is None


async def test_a_refused_join_leaves_what_was_there(store: SessionStore) -> None:
    """A connection that left may still come back by its token after a join that was refused."""
    await store.create(session(), speaker(), now_ms=NOW)
    await store.join(listener("c1"), capacity=500, now_ms=NOW)
    await leave(store, "c1")
    with pytest.raises(Refused):
        charge = Charge("k", "seats", QUOTA)
        await store.join(listener("c1"), capacity=0, charge=charge, now_ms=NOW)
    assert (await store.hand_over(handover(listener("c1"), "c2"), now_ms=NOW)).changed


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_speakers_sessions_under_concurrency(store: SessionStore, limit: int) -> None:
    """Of 50 concurrent creations by one speaker exactly as many as allowed are made; others have theirs."""
    outcomes = await asyncio.gather(
        *(create(store, 100 + number, at_most=limit) for number in range(50)),
        *(create(store, 500 + number, at_most=2, name="ben") for number in range(5)),
        return_exceptions=True,
    )
    assert Counter(type(outcome) for outcome in outcomes[:50]) == {type(None): limit, SpeakerBusy: 50 - limit}
    assert Counter(type(outcome) for outcome in outcomes[50:]) == {type(None): 2, SpeakerBusy: 3}
    live = (await store.live_page("", limit=100, now_ms=NOW)).snapshots
    assert Counter(one.session.speaker_id for one in live) == {"anna": limit, "ben": 2}


async def test_a_speakers_sessions_across_replicas(replicas: Sequence[SessionStore]) -> None:
    """The same through four stores, also when the places were those of sessions that are over."""
    first, *_ = replicas
    for number in range(3):
        await create(first, 900 + number, at_most=3)
        await first.end(f"golden-eagle-{900 + number}", None, "over", now_ms=NOW)
    outcomes = await asyncio.gather(
        *(create(replicas[number % 4], 100 + number, at_most=3) for number in range(50)),
        return_exceptions=True,
    )
    assert Counter(type(outcome) for outcome in outcomes) == {type(None): 3, SpeakerBusy: 47}
    assert len((await first.live_page("", limit=100, now_ms=NOW)).snapshots) == 3


async def test_when_a_speaker_has_a_place_again(store: SessionStore) -> None:
    """The refusal tells when; until then sessions in their grace count, and others until they are over."""
    await create(store, 100, at_most=2)
    await create(store, 200, at_most=2, now_ms=NOW)
    for limit, free_ms in ((2, NOW + 2 * HOUR), (1, NOW + 2 * HOUR)):
        with pytest.raises(SpeakerBusy) as busy:
            await create(store, 300, at_most=limit)
        assert busy.value.free_ms == free_ms
    await leave(store, "golden-eagle-100")
    with pytest.raises(SpeakerBusy) as busy:
        await create(store, 300, at_most=2, now_ms=NOW + 29 * SECOND)
    assert busy.value.free_ms == NOW + 30 * SECOND
    with pytest.raises(SpeakerBusy) as busy:
        await create(store, 300, at_most=1, now_ms=NOW + 29 * SECOND)
    assert busy.value.free_ms == NOW + 2 * HOUR
    await create(store, 300, at_most=2, now_ms=NOW + 30 * SECOND)
    with pytest.raises(SpeakerBusy):
        await create(store, 400, at_most=2, now_ms=NOW + 30 * SECOND)


async def test_how_places_come_free(store: SessionStore) -> None:
    """By an end, by time, by a sweep, and when all is forgotten; each frees one place."""
    await create(store, 100)
    with pytest.raises(SpeakerBusy):
        await create(store, 200)
    await store.end("golden-eagle-100", "golden-eagle-100", "bye", now_ms=NOW)
    await create(store, 200)
    await leave(store, "golden-eagle-200")
    later = NOW + 30 * SECOND
    await create(store, 300, now_ms=later)
    await leave(store, "golden-eagle-300", later)
    later += 30 * SECOND
    assert len((await store.sweep(now_ms=later, forget_before_ms=later + 1)).ended) == 2
    await store.sweep(now_ms=later + 1, forget_before_ms=later + 1)
    assert await store.find("golden-eagle-300") is None
    await create(store, 300, now_ms=later)
    with pytest.raises(SpeakerBusy):
        await create(store, 400, now_ms=later)


async def test_coming_back_takes_no_other_place(store: SessionStore) -> None:
    """A session that its speaker takes over goes on counting as one, and for the new time."""
    await create(store, 100)
    code = "golden-eagle-100"
    await leave(store, code)
    await store.hand_over(handover(speaker(code, code), "s2"), now_ms=NOW)
    with pytest.raises(SpeakerBusy) as busy:
        await create(store, 200, now_ms=NOW + 3 * HOUR)
    assert busy.value.free_ms == NOW + 4 * HOUR
    await store.end(code, "s2", "bye", now_ms=NOW)
    await create(store, 200)


async def test_without_a_limit(store: SessionStore) -> None:
    """A speaker may have any number of sessions, and one more than that under no limit."""
    await asyncio.gather(*(create(store, 100 + number, at_most=0) for number in range(20)))
    await store.end("golden-eagle-100", None, "over", now_ms=NOW)
    await create(store, 100 + 50, at_most=0)
    assert len((await store.live_page("", limit=100, now_ms=NOW)).snapshots) == 20


async def test_a_taken_code_takes_no_place(store: SessionStore) -> None:
    """A creation that has to draw another code counts once."""
    await create(store, 100, name="ben")
    with pytest.raises(CodeTaken):
        taken = replace(session("golden-eagle-100", "s2"), speaker_id="anna")
        await store.create(taken, speaker("golden-eagle-100", "s2"), at_most=1, now_ms=NOW)
    await create(store, 200)
