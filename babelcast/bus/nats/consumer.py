"""An ordered consumer: a topic's messages from a place on, in order, each once, for as long as it is open.

The server pushes, with heartbeats and flow control. A gap in its count, silence, or a lost connection end the
consumer; another one goes on after the last message that came.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from babelcast import logs
from babelcast.bus.base import Topic
from babelcast.bus.nats import wire
from babelcast.bus.nats.link import Connection, Link, LinkLost, cancelled
from babelcast.telemetry.instruments import BUS_REOPENED

HEARTBEAT_S: Final = 2.0
SILENCE_S: Final = 2.5 * HEARTBEAT_S
UNUSED_S: Final = 30.0
AGAIN_S: Final = 0.2
CONTROL: Final = "100"
LAST_COUNT: Final = "Nats-Last-Consumer"
STALLED: Final = "Nats-Consumer-Stalled"

log = logging.getLogger(__name__)


class _Broken(Exception):
    """A gap or silence."""


class OrderedConsumer:
    """Follows one topic. `on_message` is called with each message and its place; it must not wait."""

    def __init__(self, topic: Topic, link: Link, *, on_message: Callable[[Msg, wire.Delivery], None]) -> None:
        self._topic = topic
        self._link = link
        self._on_message = on_message
        self._task: asyncio.Task[None] | None = None
        self._after = 0
        self._made: object = None
        self._count = 0
        self._heard_s = 0.0
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, *, after: int, connection: Connection) -> None:
        """Follow from behind a place on; returns when it is sure that nothing from there on is missed.

        Raises: LinkLost, nats.js.errors.APIError.
        """
        self._after, self._made = after, connection.stream_made
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(
            self._follow(connection, opened), name=f"consumer-{self._topic.language}"
        )
        try:
            await opened
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Stop following; idempotent."""
        if self._task is not None:
            await cancelled(self._task)

    async def _follow(self, connection: Connection, opened: "asyncio.Future[None]") -> None:
        logs.bind(session=self._topic.session_id, connection_id="")
        while True:
            try:
                async with self._consuming(connection):
                    if not opened.done():
                        opened.set_result(None)
                    await self._watch(connection)
            except (LinkLost, _Broken, nats.errors.Error) as error:
                if not opened.done():
                    opened.set_exception(error)
                    return
                why = type(error).__name__
                log.info("a topic is followed anew", extra={"why": why})
            BUS_REOPENED.add(1)
            if self._link.connected:
                await asyncio.sleep(AGAIN_S)
            connection = await self._link.connection()
            if connection.stream_made != self._made:  # places begin anew
                self._after, self._made = 0, connection.stream_made

    @asynccontextmanager
    async def _consuming(self, connection: Connection) -> AsyncIterator[None]:
        self._count = 0
        self._broken = asyncio.get_running_loop().create_future()
        self._heard_s = asyncio.get_running_loop().time()
        inbox = connection.client.new_inbox()

        async def receive(message: Msg) -> None:
            await self._receive(connection, message)

        subscription = await connection.client.subscribe(inbox, cb=receive)
        try:
            await connection.ask(
                connection.js.add_consumer(
                    wire.STREAM, config=consumer_config(self._topic, inbox=inbox, after=self._after)
                )
            )
            yield
        finally:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _watch(self, connection: Connection) -> None:
        """Returns when the connection is lost. Raises: _Broken."""
        now_s = asyncio.get_running_loop().time
        while True:
            quiet_s = now_s() - self._heard_s
            if quiet_s > SILENCE_S:
                raise _Broken
            await asyncio.wait(
                (connection.lost, self._broken),
                timeout=SILENCE_S - quiet_s + 0.1,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if connection.lost.done():
                return
            if self._broken.done():
                raise _Broken

    async def _receive(self, connection: Connection, message: Msg) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        headers = message.headers
        if headers and headers.get("Status") == CONTROL:
            await self._control(connection, message, headers)
            return
        if self._broken.done():
            return
        delivery = wire.Delivery.read(message.reply)
        if delivery.count != self._count + 1:
            self._break()
            return
        self._count = delivery.count
        if delivery.place > self._after:
            self._after = delivery.place
            self._on_message(message, delivery)

    async def _control(self, connection: Connection, message: Msg, headers: dict[str, str]) -> None:
        last = headers.get(LAST_COUNT)
        if last is not None and int(last) != self._count:
            self._break()
        answer_to = message.reply or headers.get(STALLED)
        if answer_to:  # flow control: we have taken all that came before
            with suppress(nats.errors.Error):
                await connection.client.publish(answer_to)

    def _break(self) -> None:
        if not self._broken.done():
            self._broken.set_result(None)


def consumer_config(topic: Topic, *, inbox: str, after: int) -> ConsumerConfig:
    """A consumer that pushes what comes behind a place to an inbox, and goes when nobody is there."""
    return ConsumerConfig(
        filter_subject=wire.subject(topic),
        deliver_subject=inbox,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        ack_policy=AckPolicy.NONE,
        max_deliver=1,
        flow_control=True,
        idle_heartbeat=HEARTBEAT_S,
        inactive_threshold=UNUSED_S,
        mem_storage=True,
        num_replicas=1,
    )
