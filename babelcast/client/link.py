"""A role over time: the connection it is on, the next one when that is lost, and one stream of events."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from random import Random
from typing import TypeAlias, TypeVar

from babelcast.channel import Channel, ChannelClosed
from babelcast.client import backoff, failures
from babelcast.client.connection import Connection
from babelcast.client.events import Event, EventsDropped, Incoming, Reconnected, Reconnecting
from babelcast.client.routes import Routes
from babelcast.client.settings import ClientSettings
from babelcast.errors import BabelcastError, ServiceUnavailable
from babelcast.protocol.client_messages import ClientMessage
from babelcast.protocol.server_messages import ServerMessage, SessionEnded

AnswerT = TypeVar("AnswerT", bound=ServerMessage)
OnMessage: TypeAlias = Callable[[Incoming, bool], None]
Dial: TypeAlias = Callable[[str, OnMessage], Awaitable[Connection]]
Resume: TypeAlias = Callable[[Connection], Awaitable[None]]
Filter: TypeAlias = Callable[[Incoming, bool], list[Event]]
MS_PER_S = 1000
MOVE_WITHIN = 0.5
"""The part of the time that the server gives for a change of connection in which it is begun."""


class Link:
    """Holds a connection and replaces it when it is lost; one that is about to end, by a new one made first.

    `dial` makes a connection to one of `urls`. `sift` sees every incoming message in order and returns the
    events it becomes. Once `resume` is set it is called on each new connection to take the role over there;
    without it a lost connection is the end. Policy of the event queue: the oldest go, and EventsDropped
    reports the loss.
    """

    def __init__(
        self, urls: Sequence[str], dial: Dial, *, sift: Filter, settings: ClientSettings, random: Random
    ) -> None:
        self.resume: Resume | None = None
        self.over = asyncio.Event()
        """Set when there is and will be no connection."""
        self._routes = Routes(urls)
        self._dial = dial
        self._sift = sift
        self._settings = settings
        self._random = random
        self._events: Channel[Event] = Channel(settings.event_capacity)
        self._connection: Connection | None = None
        self._former: Connection | None = None
        self._changed = asyncio.Event()
        self._failure: BabelcastError | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make the first connection, to the first address that takes it.

        Raises: what `dial` raises.
        """
        for last in range(len(self._routes) - 1, -1, -1):
            url, _ = self._routes.pick(0.0)
            try:
                self._connection = await self._dial(url, self._take)
            except BabelcastError as error:
                if error.code not in failures.TRY_AGAIN or not last:
                    raise
                self._routes.pass_over(url)
            else:
                break
        self._keeper = asyncio.create_task(self._keep(), name="babelcast-client-link")

    @property
    def failure(self) -> BabelcastError | None:
        """Why the link ended, when it was not on purpose."""
        return self._failure

    @property
    def round_trip_s(self) -> float | None:
        """What the last heartbeat on this connection measured."""
        return None if self._connection is None else self._connection.round_trip_s

    @property
    def url(self) -> str:
        """The gateway that it is, or was last, connected to."""
        return "" if self._connection is None else self._connection.url

    async def connection(self) -> Connection:
        """The connection in use, waiting while a new one is being made.

        Raises: ServiceUnavailable when the link is over.
        """
        while not self.over.is_set():
            if self._connection is not None and self._connection.closed is None:
                return self._connection
            await self._changed.wait()
        raise self._failure or ServiceUnavailable("The connection is closed.")

    async def request(
        self, message: ClientMessage, answer: type[AnswerT], *, timeout_s: float | None = None
    ) -> AnswerT:
        """Send a request and wait for its answer; a request under way when the connection is lost fails.

        Raises: RemoteError, ServiceUnavailable.
        """
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                connection = await self.connection()
        except TimeoutError as error:
            raise ServiceUnavailable("There is no connection at the moment.") from error
        return await connection.request(message, answer, timeout_s=timeout_s)

    async def events(self) -> AsyncIterator[Event]:
        """Everything that comes, in order, until the session or the connection ends.

        Raises: BabelcastError when the connection is lost for good.
        """
        reported = 0
        async for event in self._events:
            if self._events.dropped > reported:
                yield EventsDropped(self._events.dropped - reported)
                reported = self._events.dropped
            yield event
        if self._failure is not None:
            raise self._failure

    def offer(self, event: Event) -> None:
        """Queue an event of the client's own."""
        try:
            self._events.send_dropping_oldest(event)
        except ChannelClosed:
            return  # nobody listens any more

    async def aclose(self) -> None:
        """Close the connection and end the events; idempotent."""
        self.over.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._finish()
        for connection in (self._former, self._connection):
            if connection is not None:
                await connection.aclose()

    def _take(self, incoming: Incoming, answers: bool) -> None:
        for event in self._sift(incoming, answers):
            self.offer(event)
        if isinstance(incoming, SessionEnded):
            self._finish()

    async def _keep(self) -> None:
        """Replace the connection each time it leaves, until that makes no sense any more."""
        try:
            while self._connection is not None:
                leaving = self._connection
                await leaving.leaving.wait()
                resume = self.resume
                if resume is None:
                    await leaving.wait_closed()
                if resume is None or not _worth_returning(leaving, over=self.over.is_set()):
                    self._failure = None if self.over.is_set() else _failure_of(leaving)
                    return
                await self._replace(leaving, resume)
        except BabelcastError as error:
            self._failure = error
        finally:
            self._finish()

    async def _replace(self, leaving: Connection, resume: Resume) -> None:
        await self._wait_for_the_moment(leaving)
        if not _worth_returning(leaving, over=self.over.is_set()):
            return  # the keeper sees to it
        self.offer(_reconnecting(leaving))
        self._former = leaving
        self._connection = await self._return(leaving, resume)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        self.offer(Reconnected())
        await leaving.aclose()

    async def _wait_for_the_moment(self, leaving: Connection) -> None:
        """A random moment well before the server's deadline, so that not all of its clients move at once."""
        asked = leaving.refresh
        if asked is None or leaving.closed is not None:
            return
        if asked.reason == "draining":
            self._routes.pass_over(leaving.url)
        left_s = max(0.0, (asked.refresh_by - asked.timestamp) / MS_PER_S)  # both by the server's clock
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._random.uniform(0, MOVE_WITHIN * left_s)):
                await leaving.wait_closed()

    async def _return(self, leaving: Connection, resume: Resume) -> Connection:
        """Get the role onto a new connection; the time for that runs while there is no old one."""
        loop = asyncio.get_running_loop()
        failure: BabelcastError = ServiceUnavailable("The connection was lost.")
        waits = backoff.delays(
            base_s=self._settings.backoff_base_s, cap_s=self._settings.backoff_cap_s, random=self._random
        )
        try:
            async with asyncio.timeout(None) as limit:
                for wait_s in waits:
                    if leaving.closed is not None and limit.when() is None:
                        limit.reschedule(loop.time() + self._settings.resume_window_s)
                    await asyncio.sleep(wait_s)
                    url, patience_s = self._routes.pick(loop.time())
                    await asyncio.sleep(patience_s)
                    try:
                        return await self._attempt(url, resume)
                    except BabelcastError as error:
                        if error.code not in failures.COME_BACK:
                            raise
                        failure = error
                        self._routes.pass_over(url, until_s=loop.time() + failures.retry_after_s(error))
        except TimeoutError:
            raise failure from None
        raise AssertionError("the waits are endless")

    async def _attempt(self, url: str, resume: Resume) -> Connection:
        connection = await self._dial(url, self._take)
        try:
            await resume(connection)
        except BaseException:
            await connection.aclose()
            raise
        self._routes.worked(url)
        return connection

    def _finish(self) -> None:
        self.over.set()
        self._changed.set()  # those who wait for a connection learn that there will be none
        self._events.close()


def _reconnecting(leaving: Connection) -> Reconnecting:
    closed, asked = leaving.closed, leaving.refresh
    if closed is not None:
        return Reconnecting(closed.code, closed.reason)
    return Reconnecting(0, asked.reason if asked is not None else "")


def _worth_returning(connection: Connection, *, over: bool) -> bool:
    if over:
        return False
    return connection.closed is None or connection.closed.code not in failures.FINAL_CLOSES


def _failure_of(connection: Connection) -> BabelcastError | None:
    closed = connection.closed
    return None if closed is None else failures.from_close(closed.code, closed.reason)
