"""Replicas tell each other their changes, so that it does not matter which one a gateway watches.

Each change is one message on a core subject of NATS, which keeps nothing. Whoever may have missed something
says so or is told so, and then ends its watches: watchers open them again and read what they hold from the
record, which all replicas share. That is the case

- for a replica whose connection to NATS is new: what others said meanwhile is lost;
- for all replicas when another one's connection is new, as after its crash: what it said last may be lost.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Final, Self

import nats.errors
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg

from babelcast.bus.config import BusConfig
from babelcast.bus.nats.link import Connection, Link, LinkLost, cancelled
from babelcast.channel import Channel
from babelcast.errors import InvalidConfiguration, ServiceUnavailable
from babelcast.session.v1 import session_pb2 as pb
from session_svc import wire
from session_svc.events import Event, Hub

SUBJECT: Final = "babelcast-sessions.changes"
REPLICA: Final = "Babelcast-Replica"
REVISION: Final = "Babelcast-Revision"
CAPACITY: Final = 4096
"""Changes that wait for the link; when there are more, the oldest go, and the others look for themselves."""
OPEN_S: Final = 5.0
OPEN_AGAIN_S: Final = 3600.0
ECHO_S: Final = 3.0
FLUSH_S: Final = 2.0
SETTLE_S: Final = 1.0
"""After an outage all replicas come back, one after the other: watches end once for all of this time."""
_MISSED: Final = "Changes may have been missed; open the watch again and read what you hold."

log = logging.getLogger(__name__)


class Sharing:
    """Publishes changes here and to the other replicas, and theirs here. Made by `open`."""

    def __init__(self, config: BusConfig, hub: Hub, *, clock: Callable[[], float]) -> None:
        self._hub = hub
        self._id = uuid.uuid4().hex
        self._link = Link(config, prepare=self._prepare, clock=clock)
        self._unsent: Channel[Event] = Channel(CAPACITY)
        self._lost_some = False
        self._echo = asyncio.Event()
        self._settling: asyncio.TimerHandle | None = None
        self._sender: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, config: BusConfig, hub: Hub, *, clock: Callable[[], float]) -> Self:
        """Connect; while no server is in reach, go on trying behind the work.

        Raises: ConfigError, InvalidConfiguration.
        """
        config.check()
        sharing = cls(config, hub, clock=clock)
        try:
            await sharing._link.open(patience_s=OPEN_S)
        except ServiceUnavailable:
            log.warning("the bus is out of reach: changes are not shared between replicas yet")
            sharing._opening = asyncio.create_task(sharing._open_later(), name="session-sharing-open")
        sharing._sender = asyncio.create_task(sharing._send(), name="session-sharing")
        return sharing

    @property
    def connected(self) -> bool:
        """Whether the others are in reach, as far as is known."""
        return self._link.connected

    def publish(self, event: Event) -> None:
        """Tell the watchers here, and the other replicas as soon as they are in reach; never waits."""
        self._hub.publish(event)
        if not self._unsent.closed and self._unsent.send_dropping_oldest(event) is not None:
            self._lost_some = True

    async def aclose(self) -> None:
        """Send what waits, if it can be sent, and disconnect; idempotent."""
        self._unsent.close()
        if self._opening is not None:
            await cancelled(self._opening)
        if self._sender is not None:
            await asyncio.wait([self._sender], timeout=FLUSH_S if self._link.connected else 0)
            await cancelled(self._sender)
        await self._link.aclose()
        if self._settling is not None:
            self._settling.cancel()

    async def _open_later(self) -> None:
        while True:
            try:
                await self._link.open(patience_s=OPEN_AGAIN_S)
            except ServiceUnavailable:
                continue
            except InvalidConfiguration as error:
                log.critical("changes are not shared between replicas", extra={"why": error.message})
            return

    async def _prepare(self, connection: Connection) -> None:
        """Listen, and say that nothing before this moment may be relied on.

        Raises: LinkLost, InvalidConfiguration, nats.errors.Error.
        """
        self._echo.clear()
        await connection.client.subscribe(SUBJECT, cb=self._on_message)
        await self._announce(connection)
        heard = asyncio.ensure_future(self._echo.wait())
        try:
            await asyncio.wait((heard, connection.lost), timeout=ECHO_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            heard.cancel()
        if connection.lost.done():
            raise LinkLost
        if not self._echo.is_set():
            raise InvalidConfiguration(f"NATS does not let this service publish and subscribe to {SUBJECT}.")
        if self._sender is not None:  # else nobody is served yet
            self._missed_some()

    async def _announce(self, connection: Connection) -> None:
        opened = pb.WatchSessionsResponse(opened=pb.WatchOpened())
        await connection.client.publish(
            SUBJECT, opened.SerializeToString(), headers={REPLICA: self._id, REVISION: "0"}
        )

    async def _send(self) -> None:
        async for event in self._unsent:
            connection = await self._link.connection()
            headers = {REPLICA: self._id, REVISION: str(event.revision)}
            try:
                if self._lost_some:
                    await self._announce(connection)
                    self._lost_some = False
                await connection.client.publish(
                    SUBJECT, wire.event_out(event).SerializeToString(), headers=headers
                )
            except nats.errors.Error as error:
                # The next connection begins with an announcement, which makes up for this one.
                log.debug("a change was not shared", extra={"error": type(error).__name__})
            except Exception:  # a defect: without this task the others would hear of nothing any more
                log.exception("a change cannot be shared")
                self._lost_some = True

    async def _on_message(self, message: Msg) -> None:
        headers = message.headers or {}
        if headers.get(REPLICA) == self._id:
            self._echo.set()
            return
        try:
            change = pb.WatchSessionsResponse.FromString(message.data)
            event = wire.event_in(change, revision=int(headers.get(REVISION, "0")))
        except (DecodeError, ValueError):
            log.warning("what another replica says is not understood")
            return
        if change.HasField("opened"):
            self._missed_some()
        elif event is not None:
            self._hub.publish(event)

    def _missed_some(self) -> None:
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self._look_again)

    def _look_again(self) -> None:
        self._settling = None
        self._hub.interrupt(_MISSED)
