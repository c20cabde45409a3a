"""A whole run: sessions, listeners, talk, and what came of it."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from babelcast.errors import BabelcastError
from babelcast.wav import Sound
from bench.load import loops, speech, usage
from bench.load.crowd import Crowd, Listeners, Plan, Progress, RoomPlan, cpu_s, rss_bytes
from bench.load.figures import Figures, Second
from bench.load.ledger import Ledger
from bench.load.speech import Round
from bench.load.talk import Talk, TalkFigures
from bench.load.tally import CrowdEnd, Tally, count, loss
from bench.load.worker import RemoteCrowd

COURSE_AT_MOST = 600
"""Points of a chart; a longer run has longer stretches."""
QUIET_S = 2.0
"""From the last word to the end, for what is on its way."""
ALL_BACK_WITHIN_S = 60.0
STAGGER_S = 0.37
"""Between speakers, so that their sentences do not end together."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What is to be done. `listeners` is all of them together."""

    urls: Sequence[str]
    token: str
    listeners: int
    languages: Sequence[str]
    sessions: int = 1
    seconds: float = 60.0
    source_language: str = "en"
    sounds: Sequence[Sound] = ()
    """What is said; a script of tones when there is none."""
    audio: Literal["pcm", "opus", "none"] = "opus"
    delivery: Literal["json", "binary"] = "binary"
    ramp_s: float = 10.0
    processes: int = 1
    control_s: float = 15.0
    server_pids: Sequence[int] = ()
    tell: Callable[[str], None] = field(default=lambda _: None)


async def run(options: LoadOptions) -> Figures:
    """Do it.

    Raises: BabelcastError when no session can be made, or a process of listeners ends.
    """
    return await _Run(options).go()


def rooms(options: LoadOptions, codes: Sequence[str]) -> list[RoomPlan]:
    """The listeners spread over sessions and languages, as evenly as may be."""
    kinds = [(code, language) for code in codes for language in options.languages]
    each, more = divmod(options.listeners, len(kinds))
    return [
        RoomPlan(
            code,
            language,
            each + (number < more),
            voice=options.audio != "none" and language != options.source_language,
        )
        for number, (code, language) in enumerate(kinds)
        if each + (number < more)
    ]


def shares(plans: Sequence[RoomPlan], processes: int) -> list[list[RoomPlan]]:
    """The rooms of each process: every room in all of them, as evenly as may be."""
    return [
        [
            msgspec.structs.replace(plan, seats=seats)
            for plan in plans
            if (seats := plan.seats // processes + (number < plan.seats % processes))
        ]
        for number in range(processes)
    ]


class Course:
    """The run second by second, in at most COURSE_AT_MOST points."""

    def __init__(self) -> None:
        self.points: list[Second] = []
        self._together = 1
        self._taken = 0

    def add(self, second: Second) -> None:
        """The next stretch."""
        if self._taken and self._taken < self._together:
            self.points[-1].merge(second)
        else:
            self._taken = 0
            self.points.append(second)
        self._taken += 1
        if len(self.points) > COURSE_AT_MOST:
            self._together *= 2
            for first, next_one in zip(self.points[::2], self.points[1::2], strict=False):
                first.merge(next_one)
            self.points = self.points[::2]
            self._taken = self._together


class _Run:
    def __init__(self, options: LoadOptions) -> None:
        self._options = options
        self._speakers = TalkFigures()
        self._talks: dict[str, Talk] = {}
        self._ledger = Ledger(self._talks)
        self._latest: dict[int, Progress] = {}
        self._pending = Second(0.0)
        self._course = Course()
        self._began_s = time.monotonic()
        self._server = usage.of(list(options.server_pids))
        self._server_peak = 0
        self._last_s = self._began_s
        self._last_own_s = 0.0

    async def go(self) -> Figures:
        options = self._options
        idle = self._server
        empty_rss = rss_bytes()
        await self._begin()
        sampling = asyncio.create_task(self._sample(), name="bench-sample")
        try:
            async with self._crowds() as crowds:
                options.tell(f"{options.listeners:,} listeners come in over {options.ramp_s:g} s")
                await asyncio.gather(*(crowd.join() for crowd in crowds))
                await asyncio.sleep(1.1)  # for the last second's progress
                full_rss = self._own_rss()
                for crowd in crowds:
                    crowd.talk()
                options.tell(f"{self._seated():,} are in; the talk begins")
                before, cpu_before, own_before = usage.of(list(options.server_pids)), self._cpu(), cpu_s()
                started_s = time.monotonic()
                await self._hold()
                await self._all_back()
                took_s = time.monotonic() - started_s
                after, own_after = usage.of(list(options.server_pids)), cpu_s()
                cpu_after = self._cpu()
                await asyncio.gather(*(talk.end() for talk in self._talks.values()))
                ends = await asyncio.gather(*(crowd.finish() for crowd in crowds))
        finally:
            sampling.cancel()
            await asyncio.wait([sampling])
            for talk in self._talks.values():
                await talk.aclose()
        self._ledger.close(float("inf"))
        processes = options.processes > 1
        return self._figures(
            ends,
            seconds=took_s,
            own_cpu_s=own_after - own_before + (cpu_after - cpu_before if processes else 0.0),
            listeners_cpu_s=cpu_after - cpu_before,
            server_cpu_s=after.cpu_s - before.cpu_s,
            idle_bytes=idle.rss_bytes,
            rss=(empty_rss if not processes else 0, full_rss),
        )

    async def _begin(self) -> None:
        options = self._options
        for number in range(options.sessions):
            url = options.urls[number % len(options.urls)]
            talk = await Talk.begin(url, options.token, options.source_language, self._speakers)
            self._talks[talk.session_id] = talk
        options.tell(f"{options.sessions} session(s)")

    @contextlib.asynccontextmanager
    async def _crowds(self) -> AsyncIterator[list[Listeners]]:
        options = self._options
        plans = shares(rooms(options, list(self._talks)), options.processes)
        crowds: list[Listeners] = []
        async with contextlib.AsyncExitStack() as stack:
            offset = 0
            for number, part in enumerate(plans):
                plan = Plan(
                    urls=list(options.urls),
                    rooms=part,
                    audio=options.audio,
                    delivery=options.delivery,
                    ramp_s=options.ramp_s,
                    offset=offset,
                )
                offset += sum(room.seats for room in part)

                def on_progress(progress: Progress, number: int = number) -> None:
                    self._on_progress(number, progress)

                if options.processes == 1:
                    crowds.append(Crowd(plan, on_progress))
                else:
                    remote = await RemoteCrowd.start(plan, on_progress)
                    stack.push_async_callback(remote.aclose)
                    crowds.append(remote)
            yield crowds

    async def _hold(self) -> None:
        options = self._options

        async def one(number: int, talk: Talk) -> None:
            await asyncio.sleep(number * STAGGER_S % 5.0)
            try:
                await talk.hold(self._rounds(number), seconds=options.seconds, control_s=options.control_s)
            except BabelcastError as error:
                count(self._speakers.errors, f"speaker: {error.code}")

        async with asyncio.TaskGroup() as group:
            for number, talk in enumerate(self._talks.values()):
                group.create_task(one(number, talk), name=f"talk-{number}")

    def _rounds(self, number: int) -> Iterator[Round]:
        sounds = self._options.sounds
        if not sounds:
            return speech.tones(number)
        return itertools.islice(speech.recorded(sounds), number % len(sounds), None)

    async def _all_back(self) -> None:
        """Let what is on its way arrive, and those who were cut come back."""
        await asyncio.sleep(QUIET_S)
        late_s = time.monotonic() + ALL_BACK_WITHIN_S
        while time.monotonic() < late_s and any(  # noqa: ASYNC110 - other processes tell it once a second
            progress.away for progress in self._latest.values()
        ):
            await asyncio.sleep(0.2)

    def _on_progress(self, number: int, progress: Progress) -> None:
        for reach in progress.reaches:
            self._ledger.add(reach)
        self._latest[number] = progress
        pending = self._pending
        pending.messages += progress.messages
        pending.bytes += progress.bytes
        pending.reconnects += progress.reconnects
        pending.delivery.merge(progress.delivery)

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now_s = time.monotonic()
            server = usage.of(list(self._options.server_pids)) if self._options.server_pids else self._server
            own_s = cpu_s() + (self._cpu() if self._options.processes > 1 else 0.0)
            second, self._pending = self._pending, Second(now_s - self._began_s)
            second.at_s = self._last_s - self._began_s
            second.seconds = now_s - self._last_s
            second.seated = self._seated()
            second.server_cpu_s = max(0.0, server.cpu_s - self._server.cpu_s)
            second.server_rss_bytes = server.rss_bytes
            second.own_cpu_s = max(0.0, own_s - self._last_own_s) if self._last_own_s else 0.0
            self._server_peak = max(self._server_peak, server.rss_bytes)
            self._server, self._last_s, self._last_own_s = server, now_s, own_s
            self._ledger.close(time.time() * 1000)
            second.caption, second.voice = self._ledger.lately()
            self._course.add(second)

    def _seated(self) -> int:
        return sum(progress.seated for progress in self._latest.values())

    def _cpu(self) -> float:
        """Of all processes of listeners; this one's when there are no others."""
        if self._options.processes == 1:
            return cpu_s()
        return sum(progress.cpu_s for progress in self._latest.values())

    def _own_rss(self) -> int:
        return sum(progress.rss_bytes for progress in self._latest.values())

    def _figures(
        self,
        ends: Sequence[CrowdEnd],
        *,
        seconds: float,
        own_cpu_s: float,
        listeners_cpu_s: float,
        server_cpu_s: float,
        idle_bytes: int,
        rss: tuple[int, int],
    ) -> Figures:
        options, speakers, ledger = self._options, self._speakers, self._ledger
        tally = Tally()
        for end in ends:
            tally.merge(end.tally)
        errors = dict(speakers.errors)
        for code, times_seen in tally.errors.items():
            errors[code] = errors.get(code, 0) + times_seen
        for component, seen in tally.notices.items():
            errors[f"degraded: {component}"] = errors.get(f"degraded: {component}", 0) + seen
        said = {talk.session_id: talk.said for talk in self._talks.values()}
        times = {
            "delivery": tally.delivery,
            "spread": ledger.spread,
            "last": ledger.last_reached,
            "join": tally.join,
            "control": speakers.control,
            "told": ledger.told,
            "caption": ledger.caption,
            "voice": ledger.voice,
            "voice_last": ledger.voice_last,
            "voice_lag": tally.voice_lag,
            "back": tally.back,
            "own_lag": tally.own_lag,
            "own_pace": speakers.behind,
        }
        return Figures(
            title=f"{options.sessions} session(s), {options.listeners:,} listeners",
            machine=loops.machine(),
            listeners=options.listeners,
            sessions=options.sessions,
            languages=list(options.languages),
            seconds=seconds,
            times=times,
            tally=tally,
            loss=loss([room for end in ends for room in end.rooms], said),
            errors=errors,
            chunks=speakers.chunks,
            sentences=speakers.sentences,
            wrong_sentences=speakers.wrong_sentences,
            speaker_reconnects=speakers.reconnects,
            dropped_bytes=speakers.dropped_bytes,
            own_cpu_s=own_cpu_s,
            listeners_cpu_s=listeners_cpu_s,
            own_rss_bytes=sum(end.rss_bytes for end in ends),
            rss_per_listener=(rss[1] - rss[0]) / max(1, options.listeners),
            server_cpu_s=server_cpu_s,
            server_rss_bytes=self._server_peak,
            server_rss_idle_bytes=idle_bytes,
            course=self._course.points,
        )
