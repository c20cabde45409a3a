"""How several replicas on one record, of every kind, stay one service."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from session_svc import ids
from session_svc.config import SessionConfig, policy
from session_svc.events import Ended, Event
from session_svc.model import Audience, Controls, Settings, Snapshot
from session_svc.publishing import PublishingStore
from session_svc.sessions import Chance, Sessions
from session_svc.store.base import SessionStore
from tests.contract.session_places import CODE, NOW, listener, session, speaker

LISTENERS = 6


@dataclass
class Heard:
    """What one replica says that it has changed."""

    events: list[Event] = field(default_factory=list)

    def publish(self, event: Event) -> None:
        """See Listening."""
        self.events.append(event)


@dataclass
class Replicas:
    """The rules on each store, with one clock for all."""

    stores: Sequence[SessionStore]
    now_ms: int = NOW

    def __post_init__(self) -> None:
        self.heard = [Heard() for _ in self.stores]
        self.rules = [
            Sessions(
                PublishingStore(store, heard),
                policy(SessionConfig()),
                words=ids.load_words(),
                now_ms=lambda: self.now_ms,
                chance=Chance(secrets.randbelow, secrets.token_bytes, address_key=b"k"),
            )
            for store, heard in zip(self.stores, self.heard, strict=True)
        ]

    async def sweep_for(self, seconds: int) -> None:
        """Let time pass, with sweeps of all at the same moments."""
        for _ in range(0, seconds, 5):
            self.now_ms += 5_000
            await asyncio.gather(*(rules.sweep() for rules in self.rules))

    def events(self) -> list[Event]:
        """What all of them have said since this was asked last."""
        said = [event for heard in self.heard for event in heard.events]
        for heard in self.heard:
            heard.events.clear()
        return said


async def test_of_two_looks_the_later_one_is_known(replicas: Sequence[SessionStore]) -> None:
    """Whoever looked: what has one revision is the same, and what has the highest is how it is."""
    await replicas[0].create(session(), speaker(), now_ms=NOW)
    seen: list[Snapshot] = []

    async def comes_and_goes(number: int) -> None:
        store, name = replicas[number % len(replicas)], f"c{number}"
        seen.append(await store.join(listener(name), capacity=500, now_ms=NOW))
        before = seen[-1].session.revision
        seen.append((await store.change_language(name, "fr", now_ms=NOW)).snapshot)
        assert seen[-1].session.revision > before
        if number % 2:
            left = await store.leave(name, grace_until_ms=NOW, resumable_until_ms=NOW + 9, now_ms=NOW)
            assert left is not None
            assert left[1].session.revision > before + 1
            seen.append(left[1])
        controls = Controls(volume=number / 16)
        change = await store.update_broadcast(CODE, "speaker", controls, now_ms=NOW)
        seen.append(change.snapshot)

    await asyncio.gather(*map(comes_and_goes, range(12)))
    now = await replicas[0].find(CODE)
    assert now is not None
    assert now.audience == Audience({"fr": 6})
    by_revision: dict[int, Snapshot] = {}
    for snapshot in (*seen, now):
        assert by_revision.setdefault(snapshot.session.revision, snapshot) == snapshot
    assert by_revision[max(by_revision)] == now


async def test_a_code_that_is_used_again(store: SessionStore) -> None:
    """A later session with the same code begins above all that was said of the first."""
    await store.create(session(), speaker(), now_ms=NOW)
    last = await store.join(listener("c1"), capacity=9, now_ms=NOW)
    await store.end(CODE, "speaker", "x", now_ms=NOW)
    await store.sweep(now_ms=NOW + 2, forget_before_ms=NOW + 1)
    again = replace(session(connection_id="s2"), created_at_ms=NOW + 1_000)
    await store.create(again, speaker(connection_id="s2"), now_ms=NOW + 1_000)
    found = await store.find(CODE)
    assert found is not None
    assert found.session.revision > last.session.revision


async def test_a_lapse_that_all_see_to(replicas: Sequence[SessionStore]) -> None:
    """Four sweep at once: each listener of a gateway that is gone leaves once, and the talk ends once."""
    all_of_them = Replicas(replicas)
    rules = all_of_them.rules[0]
    granted = await rules.create(
        Settings(source_language="en"),
        request_id="",
        speaker_id="anna",
        connection_id="speaker",
        gateway_id="g1",
    )
    code = granted.snapshot.session.session_id
    for number in range(LISTENERS):
        await all_of_them.rules[number % len(replicas)].join(
            code, connection_id=f"c{number}", target_language="es", gateway_id="g1"
        )
    assert len(all_of_them.events()) == LISTENERS
    await all_of_them.sweep_for(120)
    told = all_of_them.events()
    audiences = [event for event in told if isinstance(event.change, Audience)]
    assert len(audiences) == LISTENERS
    assert max(audiences, key=lambda event: event.revision).change == Audience()
    ends = [event.change for event in told if isinstance(event.change, Ended)]
    assert ends == [Ended("speakerDisconnected")]
    left = await replicas[0].find(code)
    assert left is not None
    assert left.audience == Audience()
