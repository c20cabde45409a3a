"""From the rules to the watchers."""

import asyncio

import pytest

from babelcast.errors import ServiceUnavailable
from session_svc.events import Change, Ended, Event, Hub, Newest, Watch
from session_svc.model import Audience, Broadcast


def event(number: int) -> Event:
    """An event that is told apart by its number."""
    return Event("golden-eagle-427", Audience({"es": number}))


async def drained(watch: Watch) -> tuple[list[Event], str]:
    """What a watch still holds, and how it ends."""
    seen: list[Event] = []
    with pytest.raises(ServiceUnavailable) as raised:
        async for found in watch:
            seen.append(found)  # noqa: PERF401 - it ends by raising
    return seen, raised.value.message


async def test_every_watcher_sees_everything_in_order() -> None:
    """Two watchers see the same events, from their beginning on."""
    hub = Hub()
    hub.publish(event(0))
    with hub.watch() as first:
        hub.publish(event(1))
        with hub.watch() as second:
            hub.publish(event(2))
            hub.publish(Event("x", Ended("bye")))
            hub.close()
            assert (await drained(first))[0] == [event(1), event(2), Event("x", Ended("bye"))]
            assert (await drained(second))[0] == [event(2), Event("x", Ended("bye"))]


async def test_a_watcher_that_falls_behind_is_ended() -> None:
    """Its queue is bounded; it is told to read anew, and holds up nobody."""
    hub = Hub(capacity=3)
    with hub.watch() as slow, hub.watch() as quick:
        reading = aiter(quick)
        for number in range(10):
            hub.publish(event(number))
            assert await anext(reading) == event(number)
        seen, why = await drained(slow)
        assert seen == [event(0), event(1), event(2)]
        assert "fell behind" in why


async def test_a_watch_that_is_left_costs_nothing() -> None:
    """After the `with` nothing is queued any more."""
    hub = Hub(capacity=1)
    with hub.watch() as watch:
        pass
    hub.publish(event(1))
    watch.end("over")
    assert (await drained(watch))[0] == []


async def test_closing_wakes_those_who_wait() -> None:
    """A watcher in the middle of waiting ends when the hub does, and so does one that comes later."""
    hub = Hub()
    with hub.watch() as watch:
        waiting = asyncio.create_task(drained(watch))
        await asyncio.sleep(0)
        hub.close()
        hub.close()
        assert (await waiting)[1] == "The session service is stopping."
    with hub.watch() as late:
        assert await drained(late) == ([], "The session service is stopping.")


async def test_interrupted_watches_are_opened_again() -> None:
    """Those there are end, with a reason; those opened afterwards see what comes."""
    hub = Hub()
    with hub.watch() as first:
        hub.interrupt("look again")
        assert await drained(first) == ([], "look again")
    with hub.watch() as second:
        hub.publish(event(1))
        hub.close()
        assert (await drained(second))[0] == [event(1)]


def test_what_is_older_than_what_was_heard() -> None:
    """Replicas' changes overtake each other: of each kind only what is newer is news; an end always is."""
    newest = Newest()
    audience, broadcast, end = Audience({"es": 1}), Broadcast(last_change_ms=1), Ended("bye")
    heard: list[tuple[Change, int, bool]] = [
        (audience, 7, True),
        (audience, 6, False),
        (audience, 7, False),
        (broadcast, 6, True),
        (broadcast, 6, False),
        (audience, 8, True),
        (end, 0, True),
        (audience, 3, True),
    ]
    for change, revision, news in heard:
        assert newest.is_news(Event("x", change, revision)) is news, (change, revision)
    assert newest.is_news(Event("y", audience, 1))


def test_only_so_many_sessions_are_remembered() -> None:
    """Those of which nothing was heard for longest are forgotten first."""
    newest = Newest(sessions=2)
    for code in ("a", "b", "a", "c"):
        newest.is_news(Event(code, Audience(), 5 if code != "a" else 0))
    assert newest.is_news(Event("b", Audience(), 5))
    assert not newest.is_news(Event("c", Audience(), 5))
