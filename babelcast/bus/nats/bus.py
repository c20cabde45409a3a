"""The bus for many gateways: one JetStream stream, a subject per topic."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Final, Self, TypeVar

import nats.errors

from babelcast.bus.base import NotOwner, Subscription, Topic
from babelcast.bus.config import BusConfig
from babelcast.bus.nats import stream
from babelcast.bus.nats.follower import Follower, read_all, recent
from babelcast.bus.nats.link import REQUEST_S, Connection, Link, LinkLost
from babelcast.bus.nats.outbox import Outbox
from babelcast.errors import MessageTooLarge, ServiceUnavailable
from babelcast.event.v1.event_pb2 import Broadcast

QUEUE_CAPACITY: Final = 1_000
OPEN_S: Final = 30.0
KEEPS: Final = 6
"""How often, in a retention, it is seen to that topics without a word stay known."""
ROOM_FOR_HEADERS: Final = 4096
FLUSH_S: Final = 10.0

ResultT = TypeVar("ResultT")


class NatsBus:
    """Made by `open`. Keeps an outbox for each topic that it publishes on and a follower for each that is
    subscribed to here, however many subscriptions there are.
    """

    def __init__(
        self,
        config: BusConfig,
        *,
        retention_s: float,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._retention_s = retention_s
        self._clock = clock
        self._wall_clock = wall_clock
        self._owner = uuid.uuid4().hex
        self._ids = itertools.count(1)
        self._wanted = stream.stream_config(config, retention_s=retention_s)
        self._link = Link(config, prepare=self._prepare, clock=clock)
        self._max_payload = 0
        self._outboxes: dict[Topic, Outbox] = {}
        self._followers: dict[Topic, Follower] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls,
        config: BusConfig,
        *,
        retention_s: float,
        clock: Callable[[], float],
        wall_clock: Callable[[], float] = time.time,
        patience_s: float = OPEN_S,
    ) -> Self:
        """Connect, and see that the stream is there. `clock` gives seconds that only go forward,
        `wall_clock` those since the Unix epoch.

        Raises: ConfigError, ServiceUnavailable, InvalidConfiguration.
        """
        config.check()
        bus = cls(config, retention_s=retention_s, clock=clock, wall_clock=wall_clock)
        await bus._link.open(patience_s=patience_s)
        bus._keeper = asyncio.create_task(bus._keep(), name="bus-keeper")
        return bus

    @property
    def available(self) -> bool:
        """Whether the servers are in reach, or were a moment ago."""
        return self._link.available

    @property
    def connected(self) -> bool:
        """Whether a server is in reach, as far as is known."""
        return self._link.connected

    async def claim(self, topic: Topic, *, epoch: int = 0) -> int:
        """Become the owner, by a message of its own in the topic."""
        return await self._outbox(topic).claim(epoch=epoch, patience_s=REQUEST_S)

    async def publish(self, topic: Topic, broadcast: Broadcast, *, epoch: int = 0) -> None:
        """Append to the topic, or to what waits for the servers to be back."""
        size = broadcast.ByteSize() + ROOM_FOR_HEADERS
        if size > self._max_payload:
            raise MessageTooLarge(size=size, limit=self._max_payload)
        await self._outbox(topic).publish(broadcast, epoch=epoch)

    async def subscribe(self, topic: Topic) -> Subscription:
        """Receive everything published from now on."""
        follower = self._followers.get(topic)
        if follower is None or follower.ended:
            if follower is not None:
                self._close_later(follower.aclose())
            follower = self._followers[topic] = Follower(
                topic,
                self._link,
                retention_s=self._retention_s,
                clock=self._clock,
                wall_clock=self._wall_clock,
            )
        return await follower.subscribe(capacity=QUEUE_CAPACITY)

    async def history(self, topic: Topic, *, after_sequence: int) -> Sequence[Broadcast]:
        """What is kept after a voice message: of a topic that is followed here, without asking a server."""
        follower = self._followers.get(topic)
        if follower is not None and follower.used:
            outbox = self._outboxes.get(topic)
            return await follower.history(after_sequence, published=outbox.place if outbox else 0)
        kept = await read_all(topic, self._link, clock=self._clock, wall_clock=self._wall_clock)
        return recent(kept, after_sequence, oldest_s=self._clock() - self._retention_s)

    async def last_sequence(self, topic: Topic) -> int:
        """The number of the last voice message, as the stream has it."""
        mark = (await self._ask(lambda connection: stream.tail(connection.js, topic))).mark
        return 0 if mark.kind == "end" else mark.sequence

    async def forget(self, session_id: str) -> None:
        """End the topics for everybody; the servers drop them when they are older than the retention."""
        ours = {topic for topic in self._outboxes if topic.session_id == session_id}
        epoch = max((self._outboxes[topic].epoch for topic in ours), default=0)
        try:
            kept = await self._ask(lambda connection: stream.topics_of(connection.js, session_id))
            for topic in {*kept, *ours}:
                with suppress(NotOwner):
                    await self._outbox(topic, epoch=epoch).end(patience_s=REQUEST_S)
        except ServiceUnavailable:
            for topic in ours:
                self._outboxes[topic].end_later()  # then `_keep` lets it go
            raise
        for topic in {*kept, *ours}:
            outbox = self._outboxes.pop(topic, None)
            if outbox is not None:  # else it was over
                await outbox.aclose()
        for topic in [topic for topic in self._followers if topic.session_id == session_id]:
            follower = self._followers.pop(topic)
            if topic in kept:
                self._close_later(follower.drained(timeout_s=REQUEST_S))
            else:
                await follower.aclose()

    async def aclose(self) -> None:
        """Send what waits, for FLUSH_S at most, end every subscription, and disconnect."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        outboxes, self._outboxes = list(self._outboxes.values()), {}
        await asyncio.gather(*(outbox.flushed(timeout_s=FLUSH_S) for outbox in outboxes))
        for outbox in outboxes:
            await outbox.aclose()
        followers, self._followers = list(self._followers.values()), {}
        for follower in followers:
            await follower.aclose()
        if self._closing:
            await asyncio.wait(self._closing)
        await self._link.aclose()

    def _outbox(self, topic: Topic, *, epoch: int = 0) -> Outbox:
        outbox = self._outboxes.get(topic)
        if outbox is None:
            outbox = self._outboxes[topic] = Outbox(
                topic,
                self._link,
                owner=self._owner,
                ids=self._ids,
                epoch=epoch,
                retention_s=self._retention_s,
                clock=self._clock,
            )
        return outbox

    async def _prepare(self, connection: Connection) -> None:
        connection.stream_made = await stream.ensure(connection.js, self._wanted)
        self._max_payload = connection.client.max_payload

    async def _ask(self, call: Callable[[Connection], Coroutine[object, object, ResultT]]) -> ResultT:
        connection = await self._link.soon()
        try:
            return await connection.ask(call(connection))
        except (LinkLost, nats.errors.Error) as error:
            raise ServiceUnavailable("The bus does not answer.") from error

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._retention_s / KEEPS)
            for topic, outbox in tuple(self._outboxes.items()):
                outbox.keep()
                if outbox.over:
                    self._close_later(self._outboxes.pop(topic).aclose())
            for topic, follower in tuple(self._followers.items()):
                follower.expire()
                if not follower.used:
                    self._close_later(self._followers.pop(topic).aclose())

    def _close_later(self, closing: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
