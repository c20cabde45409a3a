"""Thousands of listeners in one event loop: one timer and one read buffer for all, no task for any."""

import asyncio
import gc
import os
import resource
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

import msgspec

from babelcast.client.address import is_loopback
from bench.load.heard import Heard
from bench.load.histogram import Histogram
from bench.load.line import Line
from bench.load.room import Reach, Room
from bench.load.seat import Seat
from bench.load.tally import CrowdEnd, RoomEnd, Tally, count

BUFFER_BYTES = 256 * 1024
TICK_S = 0.05
HEARTBEAT_EVERY_S = 30.0
REPORT_EVERY_S = 1.0
DIALS_AT_ONCE = 100
CONNECT_WITHIN_S = 15.0
JOIN_WITHIN_S = 60.0
END_WITHIN_S = 30.0
SEATS_PER_ADDRESS = 20_000
"""An address has some 28,000 ports; on the loopback interface further listeners have another address."""
LARGE = 1000


class RoomPlan(msgspec.Struct):
    """So many listeners of a session in a language."""

    session_id: str
    language: str
    seats: int
    voice: bool


class Plan(msgspec.Struct):
    """What listeners do."""

    urls: list[str]
    rooms: list[RoomPlan]
    audio: Literal["pcm", "opus", "none"] = "opus"
    delivery: Literal["json", "binary"] = "binary"
    captions: Literal["partial", "final"] = "partial"
    ramp_s: float = 0.0
    offset: int = 0
    """Listeners before these, in other processes."""


class Progress(msgspec.Struct):
    """What happened in the last second or so."""

    reaches: list[Reach]
    seated: int
    waiting: int
    """Listeners who have neither come in nor given up."""
    away: int
    """Listeners who are to come back."""
    messages: int
    bytes: int
    reconnects: int
    delivery: Histogram
    rss_bytes: int
    cpu_s: float


OnProgress = Callable[[Progress], None]


class Listeners(Protocol):
    """A crowd, in this process or another."""

    async def join(self) -> None:
        """Come in over the ramp; returns when everybody is in, has given up, or took too long."""

    def talk(self) -> None:
        """From now on is the talk: who joins later need not have heard its beginning."""

    async def finish(self) -> CrowdEnd:
        """Wait for the end of all sessions, leave, and tell."""


class Crowd:
    """Listeners in this event loop. `on_progress` is called every second with what is new."""

    def __init__(self, plan: Plan, on_progress: OnProgress) -> None:
        self.tally = Tally()
        self.audio = plan.audio
        self.delivery = plan.delivery
        self.captions = plan.captions
        self.talking = False
        self.over = False
        self.seats: list[Seat] = []
        self._plan = plan
        self._on_progress = on_progress
        self._rooms: list[tuple[Room, RoomPlan]] = []
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._dials = asyncio.Semaphore(DIALS_AT_ONCE)
        self._tls = ssl.create_default_context() if any(u.startswith("wss") for u in plan.urls) else None
        self._loop = asyncio.get_running_loop()
        self._reported = (0, 0, 0, Histogram())
        self._fill()

    async def join(self) -> None:
        """See Listeners."""
        self._keep(self._tick())
        spacing_s = self._plan.ramp_s / max(1, len(self.seats))
        started, started_ms = self._loop.time(), time.time() * 1000
        for number, seat in enumerate(self.seats):
            if (wait_s := started + number * spacing_s - self._loop.time()) > 0:
                await asyncio.sleep(wait_s)
            elif number % DIALS_AT_ONCE == 0:
                await asyncio.sleep(0)
            seat.join(started_ms + 1000 * number * spacing_s)
        # those who are not in go on trying, and are told of at the end
        await self._until(lambda seat: seat.joined or seat.gone, within_s=JOIN_WITHIN_S)
        if len(self.seats) >= LARGE:  # a full collection of so many objects takes long, and finds nothing
            gc.collect()
            gc.freeze()

    def talk(self) -> None:
        """See Listeners."""
        self.talking = True

    async def finish(self) -> CrowdEnd:
        """See Listeners."""
        await self._until(lambda seat: seat.ended or seat.gone, within_s=END_WITHIN_S)
        self.over = True
        for seat in self.seats:
            seat.leave()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for timer in self._timers:
            timer.cancel()
        self._progress(float("inf"))
        for seat in self.seats:
            seat.cut()
        await asyncio.sleep(0)
        ends = [self._end(room, plan) for room, plan in self._rooms]
        return CrowdEnd(self.tally, ends, cpu_s(), rss_bytes())

    def dial(self, seat: Seat) -> None:
        """A connection for a seat."""
        self._keep(self._connect(seat))

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call in a while, unless all is over by then."""

        def call() -> None:
            self._timers.discard(timer)
            act()

        timer = self._loop.call_later(delay_s, call)
        self._timers.add(timer)

    def _fill(self) -> None:
        """Seats of all rooms in turn, so that a ramp fills them evenly."""

        def notice(said: Heard) -> None:
            if said.type == "serviceDegraded":
                count(self.tally.notices, said.component)

        place = self._plan.offset
        for plan in self._plan.rooms:
            room = Room(plan.session_id, plan.language, notice)
            self._rooms.append((room, plan))
        rooms = [(room, plan.seats) for room, plan in self._rooms]
        for turn in range(max((seats for _, seats in rooms), default=0)):
            for room, seats in rooms:
                if turn < seats:
                    self.seats.append(Seat(self, room, place))
                    place += 1

    async def _until(self, done: Callable[[Seat], bool], *, within_s: float) -> None:
        """Wait for all seats, but not for ever."""
        late = self._loop.time() + within_s
        while self._loop.time() < late and not all(map(done, self.seats)):  # noqa: ASYNC110 - no event each
            await asyncio.sleep(TICK_S)

    def _keep(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, seat: Seat) -> None:
        url = self._plan.urls[seat.place % len(self._plan.urls)]
        seat.place += 1  # the next attempt goes elsewhere
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        path = parts.path or "/"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        source = None
        if is_loopback(url) and (address := seat.place // SEATS_PER_ADDRESS):
            source = (f"127.0.0.{1 + address}", 0)
        line = Line(seat, self._buffer, host=parts.netloc, path=path)
        try:
            async with self._dials, asyncio.timeout(CONNECT_WITHIN_S):
                seat.on_dialled(line)
                await self._loop.create_connection(
                    lambda: line, host, port, ssl=self._tls if secure else None, local_addr=source
                )
        except (OSError, TimeoutError) as error:
            line.cut()
            seat.on_refused(None, "connect: " + type(error).__name__)

    async def _tick(self) -> None:
        """Heartbeats, a few at a time; and once a second what is new."""
        due = self._loop.time()
        reported = due
        position = 0.0
        while True:
            due += TICK_S
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            now = self._loop.time()
            self.tally.own_lag.add((now - due) * 1000)
            if now > due + 1:
                due = now  # it slept: what was missed then is not made up for
            first = int(position)
            position += len(self.seats) * TICK_S / HEARTBEAT_EVERY_S
            for seat in self.seats[first : int(position)]:
                seat.heartbeat()
            if position >= len(self.seats):
                position = 0.0
            if now - reported >= REPORT_EVERY_S:
                reported = now
                self._progress(time.time() * 1000)

    def _progress(self, now_ms: float) -> None:
        reaches = [reach for room, _ in self._rooms for reach in room.closed(now_ms)]
        tally = self.tally
        messages, size, reconnects, before = self._reported
        delivery = since(before, tally.delivery)
        kept = msgspec.structs.replace(tally.delivery, counts=dict(tally.delivery.counts))
        self._reported = (tally.messages, tally.bytes, tally.reconnects, kept)
        seated = sum(seat.seated for seat in self.seats)
        lost = sum(not seat.seated and not (seat.ended or seat.gone) for seat in self.seats)
        waiting = sum(not (seat.joined or seat.gone) for seat in self.seats)
        self._on_progress(
            Progress(
                reaches=reaches,
                seated=seated,
                waiting=waiting,
                away=lost - waiting,
                messages=tally.messages - messages,
                bytes=tally.bytes - size,
                reconnects=tally.reconnects - reconnects,
                delivery=delivery,
                rss_bytes=rss_bytes(),
                cpu_s=cpu_s(),
            )
        )

    def _end(self, room: Room, plan: RoomPlan) -> RoomEnd:
        end = RoomEnd(
            session_id=room.session_id,
            language=room.language,
            voice=plan.voice,
            finals=f"{room.finals:x}",
            voiced=f"{room.voiced:x}",
            last_number=room.last_number,
            lasts={},
            missing_numbers=0,
            texts={},
        )
        for seat in self.seats:
            if seat.room is not room:
                continue
            if not seat.joined:
                end.absent += 1
                continue
            end.not_ended += not seat.ended
            end.missing_numbers += seat.missing
            end.lasts[seat.last] = end.lasts.get(seat.last, 0) + 1
            end.texts[seat.texts] = end.texts.get(seat.texts, 0) + 1
        return end


def since(before: Histogram, now: Histogram) -> Histogram:
    """What was counted between two states of one histogram; its most is that of its highest bucket."""
    delta = Histogram(
        {
            bucket: times - before.counts.get(bucket, 0)
            for bucket, times in now.counts.items()
            if times > before.counts.get(bucket, 0)
        },
        now.count - before.count,
        now.total_ms - before.total_ms,
        now.most_ms,
    )
    return delta


def rss_bytes(pid: int | str = "self") -> int:
    """Memory that a process has in use; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s() -> float:
    """What this process has computed."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
