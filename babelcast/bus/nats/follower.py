"""One topic as this gateway follows it: a consumer, the ring that it fills, the ring's subscriptions."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import nats.errors
import nats.js.errors
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg

from babelcast.bus.base import Topic
from babelcast.bus.nats import stream, wire
from babelcast.bus.nats.consumer import OrderedConsumer, consumer_config
from babelcast.bus.nats.link import Connection, Link, LinkLost
from babelcast.bus.ring import Kept, Ring, RingSubscription, following
from babelcast.errors import ServiceUnavailable
from babelcast.event.v1.event_pb2 import Broadcast

HISTORY_S: Final = 10.0


class Follower:
    """The ring begins with the first subscription. What came before is read once, when somebody asks for it;
    from then on the history of the topic costs the server nothing.
    """

    def __init__(
        self,
        topic: Topic,
        link: Link,
        *,
        retention_s: float,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self.topic = topic
        self.ended = False
        self._link = link
        self._clock = clock
        self._wall_clock = wall_clock
        self._retention_s = retention_s
        self._ring = Ring(retention_s=retention_s)
        self._consumer = OrderedConsumer(topic, link, on_message=self._on_message)
        self._start = 0
        self._place = 0
        self._advanced = asyncio.Event()
        self._opening = asyncio.Lock()
        self._opened = False
        self._reading = asyncio.Lock()
        self._complete = False
        self._joining = 0

    @property
    def used(self) -> bool:
        """Whether anybody is subscribed, or about to be."""
        return bool(self._ring.subscriptions or self._joining)

    async def subscribe(self, *, capacity: int) -> RingSubscription:
        """A subscription to what is published from now on.

        Raises: ServiceUnavailable.
        """
        self._joining += 1
        try:
            async with self._opening:
                if not self._opened:
                    await self._open()
                    self._opened = True
        finally:
            self._joining -= 1
        return self._ring.subscribe(capacity=capacity)

    async def history(self, after_sequence: int, *, published: int) -> Sequence[Broadcast]:
        """What is kept after a voice message; `published` is a place that it reaches at least.

        Raises: ServiceUnavailable.
        """
        async with self._reading:
            if not self._complete:
                older = await read_all(
                    self.topic,
                    self._link,
                    clock=self._clock,
                    wall_clock=self._wall_clock,
                    until=self._start,
                )
                self._ring.prepend(older)
                self._complete = True
        try:
            async with asyncio.timeout(HISTORY_S):
                while self._place < published and not self.ended:
                    self._advanced.clear()
                    await self._advanced.wait()
        except TimeoutError as error:  # a history without its end would be taken for all that was said
            raise ServiceUnavailable("What was published last has not come back yet.") from error
        return self._ring.after(after_sequence, now_s=self._clock())

    def expire(self) -> None:
        """Let go of what is too old."""
        self._ring.expire(self._clock())

    async def drained(self, *, timeout_s: float) -> None:
        """Wait for the end of the topic, and stop following."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.ended:
                    self._advanced.clear()
                    await self._advanced.wait()
        await self.aclose()

    def end(self) -> None:
        """End the subscriptions after what they hold."""
        self.ended = True
        self._advanced.set()
        self._ring.close()

    async def aclose(self) -> None:
        """Stop following; idempotent."""
        self.end()
        await self._consumer.aclose()

    async def _open(self) -> None:
        connection = await self._link.soon()
        try:
            tail = await connection.ask(stream.tail(connection.js, self.topic))
            self._start = self._place = tail.place
            await self._consumer.open(after=tail.place, connection=connection)
        except (LinkLost, nats.errors.Error) as error:
            raise ServiceUnavailable("The bus does not answer.") from error

    def _on_message(self, message: Msg, delivery: wire.Delivery) -> None:
        self._place = delivery.place
        self._advanced.set()
        if wire.Mark.read(message.headers).kind == "end":
            self.end()
            return
        broadcast = decode(message)
        if broadcast is not None:
            now_s = self._clock()
            self._ring.append(broadcast, at_s=now_s, now_s=now_s)


async def read_all(
    topic: Topic,
    link: Link,
    *,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    until: int | None = None,
) -> list[Kept]:
    """What the stream has of a topic, since its last end, up to a place (all without one).

    Raises: ServiceUnavailable.
    """
    connection = await link.soon()
    try:
        async with asyncio.timeout(HISTORY_S):
            return [
                Kept(clock() - max(0.0, wall_clock() - stored_s), broadcast)
                for stored_s, broadcast in await _read_all(topic, connection, until=until)
            ]
    except (LinkLost, TimeoutError, nats.errors.Error) as error:
        raise ServiceUnavailable("The history of the bus cannot be read.") from error


async def _read_all(
    topic: Topic, connection: Connection, *, until: int | None
) -> list[tuple[float, Broadcast]]:
    client = connection.client
    inbox = client.new_inbox()
    kept: list[tuple[float, Broadcast]] = []
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    count = 0

    async def receive(message: Msg) -> None:
        nonlocal count
        if not message.reply.startswith("$JS.ACK.") or done.done():
            if message.headers and message.reply:  # flow control
                await client.publish(message.reply)
            return
        delivery = wire.Delivery.read(message.reply)
        count += 1
        if delivery.count != count:
            done.set_exception(LinkLost())
            return
        if until is None or delivery.place <= until:
            if wire.Mark.read(message.headers).kind == "end":
                kept.clear()
            broadcast = decode(message)
            if broadcast is not None:
                kept.append((delivery.stored_s, broadcast))
        if not delivery.pending or (until is not None and delivery.place >= until):
            done.set_result(None)

    subscription = await client.subscribe(inbox, cb=receive)
    try:
        made = await connection.ask(
            connection.js.add_consumer(wire.STREAM, config=consumer_config(topic, inbox=inbox, after=0))
        )
        if made.num_pending or count:
            await asyncio.wait((done, connection.lost), return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise LinkLost
            done.result()
        with suppress(nats.errors.Error):
            await connection.ask(connection.js.delete_consumer(wire.STREAM, made.name))
    finally:
        done.cancel()
        with suppress(nats.errors.Error):
            await subscription.unsubscribe()
    return kept


def recent(kept: Sequence[Kept], sequence: int, *, oldest_s: float) -> list[Broadcast]:
    """What came after a voice message, of what is not older than `oldest_s`."""
    return following([entry for entry in kept if entry.at_s >= oldest_s], sequence)


def decode(message: Msg) -> Broadcast | None:
    """The broadcast of a message; None when it holds none."""
    if not message.data or wire.Mark.read(message.headers).kind != "broadcast":
        return None
    try:
        return Broadcast.FromString(message.data)
    except DecodeError:
        return None
