"""From the bus to this gateway's listeners: one subscription a topic, which feeds their rounds."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from babelcast import logs
from babelcast.bus.base import Bus, SlowSubscriber, Topic
from babelcast.errors import BabelcastError
from babelcast.event.v1.event_pb2 import Broadcast
from babelcast.protocol import client_messages as ask
from babelcast.protocol import codec
from babelcast.protocol.server_messages import ServerMessage
from babelcast.telemetry import tracing
from gateway import measuring
from gateway.backoff import Backoff
from gateway.door import Door
from gateway.late import Earlier, final_texts
from gateway.outlet import Outlet, Parcel, text_frame
from gateway.rounds import Encodings, Round, Row, Seat, in_rows, write_all

DRAINED_WITHIN_S = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Absent:
    """A listener whose connection broke and who may come back until `until_s` of the hub's clock."""

    audio: ask.AudioChoice
    until_s: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What the listeners of a topic want made."""

    voice: bool
    opus: bool


class Relay:
    """The seats of one topic, fed from one subscription."""

    def __init__(self, topic: Topic, bus: Bus, clock_ms: Callable[[], int]) -> None:
        self.topic = topic
        self.seats: dict[Seat, None] = {}
        self.joining = 0
        self.taps: list[list[Broadcast]] = []  # those who join, and are shown what comes meanwhile
        self.last_sequence = 0
        self._delivering = False
        self._gone: set[Outlet] = set()  # since what is being delivered began
        self._rows: list[Row] | None = None  # of the seats as they are
        self._bus = bus
        self._clock_ms = clock_ms
        self._lateness = measuring.Lateness(topic.language)
        self._advanced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def seat(self, seat: Seat) -> None:
        """Take a listener in."""
        self.seats[seat] = None
        self._rows = None

    def unseat(self, seat: Seat) -> None:
        """Let a listener go; what is being handed over does not reach it any more."""
        self.seats.pop(seat, None)
        if self._delivering:
            self._gone.add(seat.outlet)
        self._rows = None

    def wishes_changed(self) -> None:
        """Look at what the seats want again."""
        self._rows = None

    async def opened(self) -> None:
        """Wait until the subscription is there. Raises: ServiceUnavailable."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"relay-{self.topic.language}")
        await asyncio.shield(self._opened)

    async def aclose(self) -> None:
        """End the subscription."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if not self._opened.done():
            self._opened.cancel()

    async def drained(self) -> None:
        """Wait until the topic has ended and all of it was handed over."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=DRAINED_WITHIN_S)

    async def catch_up(self) -> None:
        """Wait until everything spoken so far was handed over; bounded."""
        with contextlib.suppress(TimeoutError, BabelcastError):  # without a bus there is nothing to wait for
            async with asyncio.timeout(DRAINED_WITHIN_S):
                published = await self._bus.last_sequence(self.topic)
                while self.last_sequence < published:
                    self._advanced.clear()
                    await self._advanced.wait()

    async def missed(self, *, after_sequence: int) -> list[Broadcast]:
        """What is kept of what came after a voice message, up to where this relay stands."""
        while True:
            reached = self.last_sequence
            kept = await self._bus.history(self.topic, after_sequence=after_sequence)
            if self.last_sequence == reached:  # else what was handed over meanwhile may be in neither
                break
        missed: list[Broadcast] = []
        for broadcast in kept:
            if broadcast.HasField("audio") and broadcast.audio.sequence > reached:
                break
            missed.append(broadcast)
        return missed

    async def texts(self, earlier: Earlier) -> list[Broadcast]:
        """The final texts that were published until now. The bus tells of the last, which may not have come
        to be kept yet.
        """
        tap: list[Broadcast] = []
        self.taps.append(tap)
        try:
            kept = await earlier.kept()
            published = await self._bus.history(self.topic, after_sequence=0)
        finally:
            self.taps = [other for other in self.taps if other is not tap]
        return final_texts([*kept, *published, *tap], since_ms=earlier.since_ms)

    async def _run(self) -> None:
        logs.bind(session=self.topic.session_id, connection_id="")
        backoff = Backoff()
        while True:
            try:
                await self._follow()
                return
            except SlowSubscriber:
                log.warning("relay fell behind and starts again", extra={"listeners": len(self.seats)})
            except BabelcastError as error:
                if not self._opened.done():
                    self._opened.set_exception(error)
                    return
                log.warning("relay lost its subscription and starts again", extra={"code": error.code})
            await backoff.wait()

    async def _follow(self) -> None:
        with contextlib.closing(await self._bus.subscribe(self.topic)) as subscription:
            if self._opened.done():  # again: first what was missed; what comes twice is told by its number
                for broadcast in await self._bus.history(self.topic, after_sequence=self.last_sequence):
                    await self._deliver(broadcast)
            else:
                self.last_sequence = await self._bus.last_sequence(self.topic)
                self._opened.set_result(None)
            async for broadcast in subscription:
                await self._deliver(broadcast, more=subscription.next_nowait)

    async def _deliver(
        self, first: Broadcast, *, more: Callable[[], Broadcast | None] = lambda: None
    ) -> None:
        """Write a broadcast to all seats, a portion of them in each turn of the loop.

        `more` tells what has come meanwhile: that goes along to those whose turn is still to come, in one
        piece, and to the others afterwards. So it reaches the last seat after one round, and a large audience
        that is behind catches up.
        """
        rows = self._in_rows()
        going = Round(rows)
        with contextlib.ExitStack() as spans:
            self._delivering = True
            try:
                self._take(first, going, spans)
                before = len(going.broadcasts)
                for number, portion in enumerate(going.portions):
                    if number:
                        await asyncio.sleep(0)
                    # a seat that was taken meanwhile is not in this round
                    while self._rows is rows and going.has_room and (another := more()):
                        self._take(another, going, spans)
                    going.write(portion, gone=self._gone)
                self._delivered(going.broadcasts[:before])
                for portion in going.portions:
                    if portion.had < len(going.broadcasts):
                        await asyncio.sleep(0)
                        going.write(portion, gone=self._gone)
                self._delivered(going.broadcasts[before:])
            finally:
                self._delivering = False
                self._gone.clear()
        self._advanced.set()

    def _take(self, broadcast: Broadcast, going: Round, spans: contextlib.ExitStack) -> None:
        if broadcast.HasField("audio"):
            if broadcast.audio.sequence <= self.last_sequence:
                return
            self.last_sequence = broadcast.audio.sequence
        for tap in self.taps:
            tap.append(broadcast)
        if broadcast.traceparent:
            attributes: dict[str, str | int | float | bool] = {
                tracing.SESSION: self.topic.session_id,
                tracing.LANGUAGE: self.topic.language,
                tracing.KIND: broadcast.WhichOneof("payload") or "",
                tracing.LISTENERS: len(self.seats),
            }
            spans.enter_context(tracing.stage("deliver", broadcast.traceparent, attributes=attributes))
        going.add(broadcast, now_ms=self._clock_ms())

    def _delivered(self, broadcasts: Sequence[Encodings]) -> None:
        for encodings in broadcasts:
            if encodings.wanted:
                self._lateness.delivered(encodings.broadcast, now_ms=self._clock_ms())

    def _in_rows(self) -> list[Row]:
        if self._rows is None:
            self._rows = in_rows(self.seats)
        return self._rows


class Hub:
    """Every listener of this gateway, by topic.

    Those whose connection broke are still made things for, for `resume_window_s`: coming back they get what
    they missed, even if nobody else listened in their language meanwhile.
    """

    def __init__(
        self, bus: Bus, *, clock_ms: Callable[[], int], clock: Callable[[], float], resume_window_s: float
    ) -> None:
        self._bus = bus
        self._clock_ms = clock_ms
        self._clock = clock
        self._resume_window_s = resume_window_s
        self._relays: dict[Topic, Relay] = {}
        self._absent: dict[Topic, list[Absent]] = {}
        self.door = Door()

    async def attach(
        self,
        topic: Topic,
        seat: Seat,
        *,
        greet: Callable[[int], ServerMessage],
        after_sequence: int | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        """Seat a listener: first `greet` with the number of the last voice message, then what it missed
        after `after_sequence` as far as it is kept, or the final texts that `earlier` asks for, then
        everything from now on, each once.

        Raises: ServiceUnavailable.
        """
        relay = self._relays.get(topic)
        if relay is None:
            relay = self._relays[topic] = Relay(topic, self._bus, self._clock_ms)
        relay.joining += 1
        try:
            await relay.opened()
            missed = [] if after_sequence is None else await relay.missed(after_sequence=after_sequence)
            if earlier is not None:
                missed = await relay.texts(earlier)
        except BaseException:
            relay.joining -= 1
            await self._close_if_unused(relay)
            raise
        relay.joining -= 1
        # nothing is awaited from here on, so nothing can come between or twice
        seat.outlet.send(greet(relay.last_sequence))
        now_ms = self._clock_ms()
        for broadcast in missed:
            _hand_over(Encodings(broadcast, now_ms), seat)
        relay.seat(seat)
        if after_sequence is not None and self._absent.get(topic):
            self._absent[topic].pop(0)

    async def detach(self, topic: Topic, seat: Seat, *, may_come_back: bool = False) -> None:
        """Take a listener out; the last one takes the subscription along."""
        relay = self._relays.get(topic)
        if relay is None:
            return
        if may_come_back and seat in relay.seats:
            self._forget_late()  # here too, since a gateway without speakers never asks who is awaited
            until_s = self._clock() + self._resume_window_s
            self._absent.setdefault(topic, []).append(Absent(seat.audio, until_s))
        relay.unseat(seat)
        await self._close_if_unused(relay)

    def awaited(self, session_id: str) -> set[str]:
        """The languages of a session's listeners who may come back."""
        self._forget_late()
        return {topic.language for topic in self._absent if topic.session_id == session_id}

    def forget(self, session_id: str) -> None:
        """Expect nobody back in a session that has ended."""
        self._absent = {
            topic: absent for topic, absent in self._absent.items() if topic.session_id != session_id
        }

    def demand(self, topic: Topic, *, listeners: int = 0) -> Demand:
        """What the listeners of a topic want made, of whom there are so many on all gateways. What those
        elsewhere want is not known here, so they are made everything.
        """
        relay = self._relays.get(topic)
        seated = relay.seats if relay else {}
        if listeners > len(seated):
            return Demand(voice=True, opus=True)
        wanted = {seat.audio for seat in seated}
        wanted |= {listener.audio for listener in self._absent.get(topic, ())}
        return Demand(voice=bool(wanted - {"none"}), opus="opus" in wanted)

    def last_sequence(self, topic: Topic) -> int:
        """The number of the last voice message handed to a topic's listeners here."""
        relay = self._relays.get(topic)
        return relay.last_sequence if relay else 0

    def seats(self, session_id: str) -> Iterator[Seat]:
        """The listeners of a session on this gateway."""
        for topic, relay in self._relays.items():
            if topic.session_id == session_id:
                yield from relay.seats

    async def tell(self, session_id: str, message: ServerMessage) -> None:
        """Tell every listener of a session on this gateway."""
        frame = text_frame(codec.encode_server(message))
        await write_all([seat.outlet for seat in self.seats(session_id)], frame)

    def set_playing(self, topic: Topic, seat: Seat, *, playing: bool) -> None:
        """Let a listener hear, or only read."""
        seat.playing = playing
        relay = self._relays.get(topic)
        if relay is not None:
            relay.wishes_changed()

    async def drained(self, session_id: str) -> None:
        """Wait until the listeners of an ended session were handed everything; bounded."""
        ending = [relay.drained() for topic, relay in self._relays.items() if topic.session_id == session_id]
        await asyncio.gather(*ending)

    async def catch_up(self) -> None:
        """Wait until all listeners were handed what was spoken so far; bounded."""
        await asyncio.gather(*(relay.catch_up() for relay in self._relays.values()))

    async def aclose(self) -> None:
        """End every subscription."""
        relays, self._relays = list(self._relays.values()), {}
        for relay in relays:
            await relay.aclose()

    def _forget_late(self) -> None:
        now_s = self._clock()
        for topic, absent in tuple(self._absent.items()):
            absent[:] = [listener for listener in absent if listener.until_s > now_s]
            if not absent:
                del self._absent[topic]

    async def _close_if_unused(self, relay: Relay) -> None:
        if not relay.seats and not relay.joining and self._relays.get(relay.topic) is relay:
            del self._relays[relay.topic]
            await relay.aclose()


def _hand_over(encodings: Encodings, seat: Seat) -> None:
    piece = encodings.piece_for(seat)
    if piece is not None:
        seat.outlet.write_parcel(Parcel([piece]))
