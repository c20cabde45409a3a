"""Changes of sessions, from the rules to everybody who watches."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from babelcast.channel import Channel
from babelcast.errors import ServiceUnavailable
from session_svc.model import Audience, Broadcast

_CLOSING = "The session service is stopping."
SESSIONS_KNOWN: Final = 20_000
"""Of so many sessions it is known how new the last news were; far more than change in a moment."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A session has ended, and why."""

    reason: str


Change: TypeAlias = Audience | Broadcast | Ended


@dataclass(frozen=True, slots=True)
class Event:
    """What became of a session, as of its `revision`; 0 for what is not compared."""

    session_id: str
    change: Change
    revision: int = field(default=0, compare=False)


class Listening(Protocol):
    """Whoever hears of changes."""

    def publish(self, event: Event) -> None:
        """Hear of one; never waits."""
        ...


class Newest:
    """Tells news from what is older than the news before: replicas' changes overtake each other."""

    def __init__(self, *, sessions: int = SESSIONS_KNOWN) -> None:
        self._sessions = sessions
        self._seen: OrderedDict[str, dict[type[Change], int]] = OrderedDict()

    def is_news(self, event: Event) -> bool:
        """Whether nothing of the kind was as new; an end always is, and the last that counts."""
        if isinstance(event.change, Ended):
            self._seen.pop(event.session_id, None)
            return True
        seen = self._seen.setdefault(event.session_id, {})
        self._seen.move_to_end(event.session_id)
        if len(self._seen) > self._sessions:
            self._seen.popitem(last=False)
        kind = type(event.change)
        if event.revision and event.revision <= seen.get(kind, 0):
            return False
        seen[kind] = event.revision
        return True


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
        self._newest = Newest()
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
        """Tell every watcher what is new; never waits."""
        if self._newest.is_news(event):
            for watch in self._watches:
                watch.offer(event)

    def interrupt(self, why: str) -> None:
        """End the watches there are: something was missed, so their holders have to look for themselves."""
        for watch in self._watches:
            watch.end(why)

    def close(self) -> None:
        """End every watch, and those yet to come; idempotent."""
        self._closed = True
        for watch in self._watches:
            watch.end(_CLOSING)
