"""Continuous streams for players that know nothing of us: one maker for each language of a session that
somebody here plays, however many they are.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Final

from babelcast import logs
from babelcast.bus.base import SlowSubscriber, Subscription, Topic
from babelcast.channel import Channel
from babelcast.errors import BabelcastError, ServiceUnavailable
from babelcast.event.v1 import event_pb2 as event
from babelcast.session.v1 import session_pb2 as api
from babelcast.telemetry import instruments, tracing
from gateway.backoff import Backoff
from gateway.desk import Desk
from gateway.live_ogg import SILENCE, Muxer, NotOpus, Programme, packets
from gateway.rooms import Room

PAGE_S: Final = 0.2
"""Between pages."""
MAX_PAGES: Final = 75
"""That wait for one player, 15 s; one that is further behind is cut off."""
MAX_PLAYERS: Final = 1_000
"""Of this gateway."""
LINGER_S: Final = 5.0
"""How long a maker waits for a player to come back."""
TRY_AGAIN_S: Final = 10.0
CLOSE_S: Final = 2.0

log = logging.getLogger(__name__)


class Player:
    """One who is sent a stream: headers, then pages. `on_cut` is called when it does not keep up."""

    def __init__(self, on_cut: Callable[[], None]) -> None:
        self.pages: Channel[bytes] = Channel(MAX_PAGES)
        self._on_cut = on_cut

    def offer(self, pages: bytes) -> bool:
        """Take what comes next; False when there is no room."""
        if self.pages.closed:
            return False
        if len(self.pages) >= MAX_PAGES:
            self.pages.clear()
            self.pages.close()
            self._on_cut()
            return False
        self.pages.send_dropping_oldest(pages)
        return True


class LiveStream:
    """Listens to one language of a session, with a seat of its own, and makes its stream."""

    def __init__(self, desk: Desk, topic: Topic, *, address: str) -> None:
        self.connection_id = secrets.token_urlsafe(12)
        self.players: set[Player] = set()
        self._desk = desk
        self._topic = topic
        self._address = address
        self._muxer = Muxer(serial=secrets.randbits(32), title=f"{topic.session_id} {topic.language}")
        self._programme = Programme(now_s=desk.clock())
        self._last_sequence = 0
        self._alone_since_s: float | None = None
        self._ended = False
        self._stopped = False
        self._over = False
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opened.add_done_callback(lambda opened: opened.cancelled() or opened.exception())
        self.task = asyncio.create_task(self._run(), name=f"live-{topic.language}")

    @property
    def over(self) -> bool:
        """Whether it takes no more players."""
        return self._over or self.task.done()

    async def opened(self) -> None:
        """Wait until it has its seat. Raises: BabelcastError."""
        await asyncio.shield(self._opened)

    def admit(self, player: Player) -> None:
        """Send to one more, from now on."""
        player.offer(self._muxer.headers())
        self.players.add(player)
        instruments.LIVE_PLAYERS.add(1)

    def dismiss(self, player: Player) -> None:
        """Send no more to one; idempotent."""
        player.pages.close()
        if player in self.players:
            self.players.discard(player)
            instruments.LIVE_PLAYERS.add(-1)

    def stop(self) -> None:
        """End it now, in order."""
        self._stopped = True

    # as a member of the session's room

    async def on_audience(self, before: api.Audience, session: api.Session) -> None:
        """Who else listens is no matter."""

    async def on_ended(self, reason: str) -> None:  # noqa: ARG002 - players have no ear for reasons
        """End after what was said."""
        self._ended = True

    async def on_replaced(self) -> None:
        """Nobody takes this seat over; if it is gone, so is the stream."""
        self.stop()

    async def _run(self) -> None:
        logs.bind(session=self._topic.session_id, connection_id=self.connection_id)
        room: Room | None = None
        try:
            try:
                room = await self._join()
                self._last_sequence = await self._desk.bus.last_sequence(self._topic)
                subscription = await self._desk.bus.subscribe(self._topic)
            except BabelcastError as error:
                self._opened.set_exception(error)
                return
            self._programme = Programme(now_s=self._desk.clock())
            self._opened.set_result(None)
            async with asyncio.TaskGroup() as group:
                following = group.create_task(self._follow(subscription), name="live-follow")
                await self._pace()
                following.cancel()
        finally:
            self._over = True
            if not self._opened.done():
                self._opened.set_exception(ServiceUnavailable("The gateway is stopping."))
            for player in tuple(self.players):
                self.dismiss(player)
            await self._leave(room)

    async def _join(self) -> Room:
        async with self._desk.hub.door.passing():
            joined = await self._desk.sessions.join(
                api.JoinSessionRequest(
                    session_id=self._topic.session_id,
                    connection_id=self.connection_id,
                    target_language=self._topic.language,
                    client_address=self._address,
                )
            )
        room = self._desk.rooms.enter(joined.session, self)
        await self._desk.rooms.confirm(room)
        return room

    async def _leave(self, room: Room | None) -> None:
        if room is not None:
            if room.pipeline is not None:
                room.pipeline.left_here(self._topic.language)
            self._desk.rooms.leave(room, self.connection_id)
        with contextlib.suppress(BabelcastError):  # the service's own timers end what it never hears of
            await self._desk.sessions.disconnect(self.connection_id)

    async def _follow(self, subscription: Subscription) -> None:
        backoff = Backoff()
        while True:
            try:
                with contextlib.closing(subscription):
                    async for broadcast in subscription:
                        self._take(broadcast)
                return  # the session is over
            except SlowSubscriber:
                log.warning("a live stream fell behind and starts again")
            except BabelcastError as error:
                log.warning("a live stream lost its subscription", extra={"code": error.code})
            subscription = await self._subscribe_again(backoff)

    async def _subscribe_again(self, backoff: Backoff) -> Subscription:
        while True:
            await backoff.wait()
            try:
                subscription = await self._desk.bus.subscribe(self._topic)
            except BabelcastError as error:
                log.warning("a live stream has no subscription", extra={"code": error.code})
                continue
            try:
                missed = await self._desk.bus.history(self._topic, after_sequence=self._last_sequence)
            except BaseException as error:
                subscription.close()
                if not isinstance(error, BabelcastError):
                    raise
                continue
            for broadcast in missed:  # what comes twice is told by its number
                self._take(broadcast)
            return subscription

    def _take(self, broadcast: event.Broadcast) -> None:
        if not broadcast.HasField("audio") or broadcast.audio.sequence <= self._last_sequence:
            return
        self._last_sequence = broadcast.audio.sequence
        left_out = self._programme.left_out
        attributes = {tracing.KIND: "live", tracing.LANGUAGE: self._topic.language}
        try:
            with tracing.stage("deliver", broadcast.traceparent, attributes=attributes):
                self._programme.add(packets(broadcast.audio.opus))
        except NotOpus:  # or PCM alone: it was made before this seat was known
            instruments.LIVE_CLIPS_LEFT_OUT.add(1)
        if self._programme.left_out > left_out:
            instruments.LIVE_CLIPS_LEFT_OUT.add(self._programme.left_out - left_out)

    async def _pace(self) -> None:
        while not self._is_done():
            await asyncio.sleep(PAGE_S)
            due = self._programme.due(self._desk.clock())
            if due:
                self._send(self._muxer.add(due))
        self._over = True
        self._send(self._muxer.add([SILENCE], last=True))

    def _is_done(self) -> bool:
        if self._stopped or (self._ended and not self._programme.waiting_s):
            return True
        now_s = self._desk.clock()
        if self.players:
            self._alone_since_s = None
        elif self._alone_since_s is None:
            self._alone_since_s = now_s
        return self._alone_since_s is not None and now_s - self._alone_since_s >= LINGER_S

    def _send(self, pages: bytes) -> None:
        for player in tuple(self.players):
            if not player.offer(pages):
                instruments.LIVE_PLAYERS_CUT.add(1)
                self.dismiss(player)


class LiveStreams:
    """The streams of this gateway."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._streams: dict[Topic, LiveStream] = {}

    @contextlib.asynccontextmanager
    async def playing(
        self, topic: Topic, *, address: str, on_cut: Callable[[], None]
    ) -> AsyncIterator[Player]:
        """Be sent a stream. Raises: BabelcastError."""
        if sum(len(stream.players) for stream in self._streams.values()) >= MAX_PLAYERS:
            raise ServiceUnavailable("Too many are playing streams here.", retry_after_s=TRY_AGAIN_S)
        stream = self._streams.get(topic)
        if stream is None or stream.over:
            stream = self._streams[topic] = LiveStream(self._desk, topic, address=address)
            stream.task.add_done_callback(lambda task: self._on_done(topic, task))
        player = Player(on_cut)
        stream.admit(player)
        try:
            await stream.opened()
            yield player
        finally:
            stream.dismiss(player)

    def end_all(self) -> None:
        """End every stream, so that players come again: this gateway's seats are gone."""
        for stream in self._streams.values():
            stream.stop()

    async def aclose(self) -> None:
        """End every stream, in order if that is quick."""
        self.end_all()
        tasks = [stream.task for stream in self._streams.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CLOSE_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _on_done(self, topic: Topic, task: "asyncio.Task[None]") -> None:
        stream = self._streams.get(topic)
        if stream is not None and stream.task is task:
            del self._streams[topic]
        if not task.cancelled() and task.exception() is not None:
            log.error("a live stream failed", exc_info=task.exception())
