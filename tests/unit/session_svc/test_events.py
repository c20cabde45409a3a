"""From the rules to the watchers."""

import asyncio

import pytest

from babelcast.errors import ServiceUnavailable
from session_svc.events import Ended, Event, Hub, Watch
from session_svc.model import Audience


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
