"""What an owner has yet to publish on one topic: in order, each once, across outages, while it is the owner.

A message may only follow the one that this owner published before it. So when somebody else has claimed the
topic, the server itself refuses what comes from here, however late it arrives. When the server's answer is
lost with the connection, the message is sent again under the same id, and the server tells a double by that.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import nats.errors

from babelcast import logs
from babelcast.bus.base import NotOwner, Topic
from babelcast.bus.nats import stream, wire
from babelcast.bus.nats.link import Connection, Link, LinkLost, Refused, cancelled
from babelcast.bus.ring import most_kept
from babelcast.errors import ServiceUnavailable
from babelcast.event.v1.event_pb2 import Broadcast
from babelcast.telemetry.instruments import BUS_UNSENT

PATIENCE_S: Final = 0.5
AGAIN_S: Final = 0.2
WRONG_LAST: Final = 10071
"""The server's code for a message that does not follow the one it says it does."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    kind: wire.Kind
    broadcast: Broadcast | None
    message_id: str
    since_s: float
    stored: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Outbox:
    """One topic of which this bus is, or was, the owner.

    Policy: what waits longer than `retention_s`, when nobody could catch up on it any more, and the oldest of
    more than `most_kept` is given up and counted; of the text of an open segment only the newest waits.
    """

    def __init__(
        self,
        topic: Topic,
        link: Link,
        *,
        owner: str,
        ids: Iterator[int],
        epoch: int,
        retention_s: float,
        clock: Callable[[], float],
    ) -> None:
        """`owner` names this bus among all, `ids` its messages among its own."""
        self.topic = topic
        self.place = 0
        """Of the last message that is known to be stored from here."""
        self.epoch = epoch
        self.sequence = 0
        self.lost = False
        self._link = link
        self._owner = owner
        self._retention_s = retention_s
        self._clock = clock
        self._claimed = False
        self._ending = False
        self._claiming = asyncio.Lock()
        self._ids = ids
        self._queue: deque[_Waiting] = deque()
        self._sending: _Waiting | None = None
        self._filled = asyncio.Event()
        self._last_s = clock()
        self._task = asyncio.create_task(self._run(), name=f"outbox-{topic.language}")

    async def claim(self, *, epoch: int, patience_s: float) -> int:
        """Become the owner; see `Bus.claim`.

        Raises: NotOwner, ServiceUnavailable when that takes longer than `patience_s`.
        """
        try:
            async with asyncio.timeout(patience_s), self._claiming:
                self._refuse(epoch)
                if not self._claimed or self.lost or epoch > self.epoch:
                    await self._claim(epoch)
        except TimeoutError as error:
            raise ServiceUnavailable("The bus is out of reach.") from error
        return self.sequence

    async def publish(self, broadcast: Broadcast, *, epoch: int) -> None:
        """Put a broadcast at the end; see `Bus.publish`.

        Raises: NotOwner.
        """
        self._refuse(epoch)
        if self.lost and epoch <= self.epoch:
            raise NotOwner(self.topic)
        if epoch > self.epoch:
            self._claimed, self.lost, self.epoch = False, False, epoch
        waiting = self._waiting("broadcast", broadcast)
        self._give_up_passing(broadcast)
        self._put(waiting)
        if self._link.connected and not self._stalled():
            await asyncio.wait((waiting.stored,), timeout=PATIENCE_S)
        if waiting.stored.done():
            waiting.stored.result()

    def keep(self) -> None:
        """Say that there still is an owner, if nothing was said for a while: the topic's last message holds
        its number and its owner, and must not get too old.
        """
        idle_s = self._clock() - self._last_s
        silent = self._claimed and not self.lost and not self._ending and not self._queue
        if silent and idle_s > self._retention_s / 3:
            self._put(self._waiting("keep", None))

    async def end(self, *, patience_s: float) -> None:
        """Let everything through, and then the end of the session.

        Raises: NotOwner, ServiceUnavailable when that takes longer than `patience_s`.
        """
        if self.lost:
            raise NotOwner(self.topic)
        waiting = self._put_end()
        done, _ = await asyncio.wait((waiting.stored,), timeout=patience_s)
        if not done:
            raise ServiceUnavailable("The bus is out of reach.")
        waiting.stored.result()

    def end_later(self) -> None:
        """Let the end come after all that waits, whenever the servers take it."""
        if not self.lost and not self._ending:
            self._put_end()

    @property
    def over(self) -> bool:
        """Whether nothing will be published from here any more: the session has ended, or has had another
        owner for as long as anything is kept.
        """
        if self._queue or self._claiming.locked():
            return False
        return self._ending or (self.lost and self._clock() - self._last_s > self._retention_s)

    async def flushed(self, *, timeout_s: float) -> None:
        """Wait until nothing waits; bounded."""
        if self._queue:
            await asyncio.wait((self._queue[-1].stored,), timeout=timeout_s)

    async def aclose(self) -> None:
        """Stop sending; what waits is lost."""
        await cancelled(self._task)
        for waiting in self._queue:
            waiting.stored.cancel()
        self._queue.clear()

    def _waiting(self, kind: wire.Kind, broadcast: Broadcast | None) -> _Waiting:
        return _Waiting(kind, broadcast, f"{self._owner}-{next(self._ids)}", self._clock())

    def _put_end(self) -> _Waiting:
        self._ending = True
        waiting = self._waiting("end", None)
        self._put(waiting)
        return waiting

    def _refuse(self, epoch: int) -> None:
        if epoch < self.epoch:
            raise NotOwner(self.topic)

    def _stalled(self) -> bool:
        return self._clock() - self._queue[0].since_s > PATIENCE_S

    def _put(self, waiting: _Waiting) -> None:
        self._queue.append(waiting)
        if len(self._queue) > most_kept(self._retention_s):
            self._give_up(1)
        self._filled.set()

    def _give_up_passing(self, newer: Broadcast) -> None:
        if not self._queue or self._queue[-1] is self._sending:
            return
        last = self._queue[-1].broadcast
        if (
            last is not None
            and wire.is_passing(last)
            and last.WhichOneof("payload") == newer.WhichOneof("payload")
        ):
            self._queue.pop().stored.set_result(None)

    def _give_up(self, count: int) -> None:
        for _ in range(count):
            self._queue.popleft().stored.set_result(None)
        BUS_UNSENT.add(count)
        log.error("messages could not be published in time", extra={"count": count})

    async def _run(self) -> None:
        logs.bind(session=self.topic.session_id, connection_id="")
        while True:
            await self._filled.wait()
            oldest_s = self._clock() - self._retention_s
            late = sum(waiting.since_s < oldest_s for waiting in self._queue)
            if late:
                self._give_up(late)
            if not self._queue:
                self._filled.clear()
                continue
            waiting = self._sending = self._queue[0]
            try:
                await self._send(waiting)
            except NotOwner as refusal:
                self._lose(refusal)
            except (LinkLost, Refused, TimeoutError, nats.errors.Error) as error:
                if isinstance(error, Refused):
                    log.warning("the bus refuses a message for now", extra={"why": str(error)})
                await asyncio.sleep(AGAIN_S if self._link.connected else 0)
            except Exception:  # a defect: without this task nothing would ever be published here again
                log.exception("a message cannot be published")
                await asyncio.sleep(AGAIN_S)
            else:
                if self._queue and self._queue[0] is waiting:
                    self._queue.popleft()
                if not waiting.stored.done():
                    waiting.stored.set_result(None)
            self._sending = None

    async def _send(self, waiting: _Waiting) -> None:
        connection = await self._link.connection()
        if not self._claimed:
            async with self._claiming:
                if not self._claimed:
                    await self._claim(self.epoch)
        broadcast = waiting.broadcast
        payload = b"" if broadcast is None else broadcast.SerializeToString()
        sequence = self.sequence
        if broadcast is not None and broadcast.HasField("audio"):
            if broadcast.audio.sequence <= sequence:
                raise NotOwner(self.topic)  # the number was given by somebody before the claim
            sequence = broadcast.audio.sequence
        mark = wire.Mark(waiting.kind, sequence, self.epoch, self._owner, waiting.message_id)
        headers = mark.headers(
            expected_last=self.place, traceparent="" if broadcast is None else broadcast.traceparent
        )
        try:
            stored = await connection.store(wire.subject(self.topic), payload, headers)
        except Refused as refused:
            if refused.code != WRONG_LAST:
                raise
            if not await self._was_stored(connection, waiting):
                raise LinkLost from refused  # once more, after what is there now
        else:
            self.place = stored.place
        self.sequence = sequence
        self._last_s = self._clock()

    async def _was_stored(self, connection: Connection, waiting: _Waiting) -> bool:
        """Learn what the topic's last message is. Raises: NotOwner when it is somebody else's."""
        tail = await connection.ask(stream.tail(connection.js, self.topic))
        if tail.place and tail.mark.owner != self._owner:
            raise NotOwner(self.topic)
        # nothing is kept: the outage was longer than that, and nobody else has been the owner since
        self.place = tail.place
        return tail.mark.message_id == waiting.message_id

    async def _claim(self, epoch: int) -> None:
        while True:
            connection = await self._link.connection()
            try:
                tail = await connection.ask(stream.tail(connection.js, self.topic))
                ended = tail.mark.kind == "end"
                if tail.mark.epoch > epoch and not ended:
                    raise NotOwner(self.topic)
                sequence = 0 if ended else tail.mark.sequence
                message_id = self._waiting("claim", None).message_id
                mark = wire.Mark("claim", sequence, epoch, self._owner, message_id)
                stored = await connection.store(
                    wire.subject(self.topic), b"", mark.headers(expected_last=tail.place)
                )
            except Refused as refused:
                if refused.code != WRONG_LAST:
                    await asyncio.sleep(AGAIN_S)
            except (LinkLost, TimeoutError, nats.errors.Error):
                await asyncio.sleep(0)
            else:
                break
        self.place, self.sequence, self.epoch = stored.place, sequence, epoch
        self._claimed, self.lost = True, False
        self._last_s = self._clock()

    def _lose(self, refusal: NotOwner) -> None:
        log.warning("somebody else publishes here now", extra={"unsent": len(self._queue)})
        self.lost, self._claimed = True, False
        self._last_s = self._clock()
        while self._queue:
            stored = self._queue.popleft().stored
            if not stored.done():
                stored.set_exception(NotOwner(refusal.topic))
                stored.exception()  # nobody may be waiting for it
