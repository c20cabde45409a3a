"""A role over time: the connection it is on, the next one when that is lost, and one stream of events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import TypeAlias, TypeVar

from babelcast.channel import Channel, ChannelClosed
from babelcast.client import backoff, failures
from babelcast.client.connection import Connection
from babelcast.client.events import Event, EventsDropped, Incoming, Reconnected, Reconnecting
from babelcast.client.settings import ClientSettings
from babelcast.errors import BabelcastError, ServiceUnavailable
from babelcast.protocol.client_messages import ClientMessage
from babelcast.protocol.server_messages import ServerMessage, SessionEnded

AnswerT = TypeVar("AnswerT", bound=ServerMessage)
OnMessage: TypeAlias = Callable[[Incoming, bool], None]
Dial: TypeAlias = Callable[[OnMessage], Awaitable[Connection]]
Resume: TypeAlias = Callable[[Connection], Awaitable[None]]
Filter: TypeAlias = Callable[[Incoming, bool], list[Event]]


class Link:
    """Holds one connection at a time and replaces it when it is lost or about to end.

    `dial` makes a connection. `sift` sees every incoming message in order and returns the events it becomes.
    Once `resume` is set it is called on each new connection to take the role over there; without it a lost
    connection is the end. Policy of the event queue: the oldest go, and EventsDropped reports the loss.
    """

    def __init__(self, dial: Dial, *, sift: Filter, settings: ClientSettings, random: Random) -> None:
        self.resume: Resume | None = None
        self._dial = dial
        self._sift = sift
        self._settings = settings
        self._random = random
        self._events: Channel[Event] = Channel(settings.event_capacity)
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._over = False
        self._failure: BabelcastError | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make the first connection.

        Raises: what `dial` raises.
        """
        self._connection = await self._dial(self._take)
        self._up.set()
        self._keeper = asyncio.create_task(self._keep(), name="babelcast-client-link")

    @property
    def failure(self) -> BabelcastError | None:
        """Why the link ended, when it was not on purpose."""
        return self._failure

    @property
    def round_trip_s(self) -> float | None:
        """What the last heartbeat on this connection measured."""
        return None if self._connection is None else self._connection.round_trip_s

    async def connection(self) -> Connection:
        """The connection in use, waiting while a new one is being made.

        Raises: ServiceUnavailable when the link is over.
        """
        while True:
            await self._up.wait()
            if self._connection is None or self._over:
                raise self._failure or ServiceUnavailable("The connection is closed.")
            if self._connection.closed is None:
                return self._connection
            await asyncio.sleep(0)  # the keeper has not seen yet that it ended

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
        self._over = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._finish()
        if self._connection is not None:
            await self._connection.aclose()

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
                if not _worth_returning(leaving, over=self._over) or resume is None:
                    self._failure = None if self._over else _failure_of(leaving)
                    return
                await self._replace(leaving, resume)
        except BabelcastError as error:
            self._failure = error
        finally:
            self._finish()

    async def _replace(self, leaving: Connection, resume: Resume) -> None:
        closed = leaving.closed
        if closed is not None:
            self._up.clear()
        self.offer(Reconnecting(closed.code, closed.reason) if closed else Reconnecting(0, "asked to"))
        self._connection = await self._return(resume)
        self._up.set()
        self.offer(Reconnected())
        await leaving.aclose()

    async def _return(self, resume: Resume) -> Connection:
        failure: BabelcastError = ServiceUnavailable("The connection was lost.")
        waits = backoff.delays(
            base_s=self._settings.backoff_base_s, cap_s=self._settings.backoff_cap_s, random=self._random
        )
        try:
            async with asyncio.timeout(self._settings.resume_window_s):
                for wait_s in waits:
                    await asyncio.sleep(wait_s)
                    try:
                        return await self._attempt(resume)
                    except BabelcastError as error:
                        if error.code not in failures.TRY_AGAIN:
                            raise
                        failure = error
        except TimeoutError:
            raise failure from None
        raise AssertionError("the waits are endless")

    async def _attempt(self, resume: Resume) -> Connection:
        connection = await self._dial(self._take)
        try:
            await resume(connection)
        except BaseException:
            await connection.aclose()
            raise
        return connection

    def _finish(self) -> None:
        self._over = True
        self._up.set()  # those who wait for a connection learn that there will be none
        self._events.close()


def _worth_returning(connection: Connection, *, over: bool) -> bool:
    if over:
        return False
    return connection.closed is None or connection.closed.code not in failures.FINAL_CLOSES


def _failure_of(connection: Connection) -> BabelcastError | None:
    closed = connection.closed
    return None if closed is None else failures.from_close(closed.code, closed.reason)
