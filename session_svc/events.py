"""Changes of sessions, from the rules to everybody who watches."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from babelcast.channel import Channel
from babelcast.errors import ServiceUnavailable
from session_svc.model import Audience, Broadcast

_CLOSING = "The session service is stopping."


@dataclass(frozen=True, slots=True)
class Ended:
    """A session has ended, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """What became of a session."""

    session_id: str
    change: Audience | Broadcast | Ended


class Watch:
    """One watcher's events, in the order in which they happened."""

    def __init__(self, capacity: int) -> None:
        self._events: Channel[Event] = Channel(capacity)
        self._end = ""

    def offer(self, event: Event) -> None:
        """Queue an event; a watcher with a full queue has lost its view and is ended."""
        if self._events.closed:
            return
        if len(self._events) >= self._events.capacity:
            self.end("This watcher fell behind; open the watch again and read what you hold.")
        else:
            self._events.send_dropping_oldest(event)

    def end(self, why: str) -> None:
        """No more events; idempotent, the first reason counts."""
        if not self._events.closed:
            self._end = why
            self._events.close()

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        """The events until the watch ends.

        Raises: ServiceUnavailable at the end: a watch never ends well, so that its holder opens another.
        """
        async for event in self._events:
            yield event
        raise ServiceUnavailable(self._end, retry_after_s=0)


class Hub:
    """Feeds watchers. Each has a queue of `capacity` events; `Watch.offer` says what a full one means."""

    def __init__(self, *, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._watches: set[Watch] = set()
        self._closed = False

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """Everything published inside the `with`."""
        watch = Watch(self._capacity)
        if self._closed:
            watch.end(_CLOSING)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def publish(self, event: Event) -> None:
        """Tell every watcher; never waits."""
        for watch in self._watches:
            watch.offer(event)

    def close(self) -> None:
        """End every watch, and those yet to come; idempotent."""
        self._closed = True
        for watch in self._watches:
            watch.end(_CLOSING)
