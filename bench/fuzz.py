"""Everything a client could send, good and bad, at a real gateway and session service with scripted stations.

    python -m bench.fuzz [--seconds S] [--seed N] [--visitors N]

Many clients come, create, join, take over, send what bench/mutations.py makes, and leave or break off.
After each frame a client sends a heartbeat: the frame must get its answer or error, and the heartbeat its
own, in time. It is a fault when that fails, when an answer is INTERNAL_ERROR or not of the protocol, when a
connection closes with an unexpected code, when anything logs an error or an exception, and when tasks,
rooms, relays, seats or memory are left after all have gone.
"""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from websockets.exceptions import ConnectionClosed, InvalidStatus

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.errors import BabelcastError
from babelcast.protocol import client_messages as ask
from babelcast.protocol import codec
from bench.load import loops
from bench.mutations import WORDS, Frame, Known, Mutator
from docs.notes import ANSWERS
from gateway.config import GatewayConfig
from gateway.connection import MAX_TEXT_BYTES
from gateway.permissions import ALLOWED, Role
from gateway.server import MAX_FRAME_BYTES
from session_svc.config import SessionConfig
from tests.integration.gateway.client import CHUNK, Client, Message
from tests.integration.gateway.stage import Stage, eventually, staged
from tests.integration.gateway.stations import Hearing

ANSWER_S: Final = 10.0
WARM_UP_SHARE: Final = 0.3
SENTENCE_EVERY_S: Final = 0.02
SHOWN_CHARS: Final = 300
GROWTH_LIMIT_MB: Final = 16.0
RESUME_S: Final = 2
MOST_GRANTS: Final = 40
NO_LIMIT: Final = 10**9
GOOD_CLOSES: Final = {1000, 4408, 4429}
NOT_UTF8: Final = 1007
TOO_LARGE: Final = 1009
BYTES_PER_MB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Expected:
    """What a frame must be answered with: one of `types` (none are needed when empty) that carries
    `request_id`, or else that the connection is closed with `close`.
    """

    types: frozenset[str] = frozenset()
    request_id: str = ""
    close: int = 0

    def met_by(self, messages: Iterable[Message]) -> bool:
        """Whether the answer is among these."""
        if not self.types and not self.close:
            return True
        return any(
            message["type"] in self.types
            and (not self.request_id or message.get("requestId") == self.request_id)
            for message in messages
        )


def expected(frame: Frame) -> Expected:
    """What the protocol promises for a frame, whatever the state of the connection."""
    data = frame.data
    if isinstance(data, bytes):
        if not frame.text:
            return Expected()
        try:
            data = data.decode()
        except UnicodeDecodeError:
            return Expected(close=NOT_UTF8)
    if len(data.encode()) > MAX_FRAME_BYTES:
        return Expected(close=TOO_LARGE)
    if len(data) > MAX_TEXT_BYTES:
        return Expected(frozenset({"error"}))
    try:
        message = codec.decode_client(data)
    except codec.Rejected as rejected:
        return Expected(frozenset({"error"}), rejected.request_id)
    if isinstance(message, ask.SendAudio):
        return Expected()
    answers = {str(kind.__struct_config__.tag) for kind in ANSWERS[type(message)]}
    return Expected(frozenset({"error", *answers}), message.request_id)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What is there when nobody is."""

    tasks: int
    rss_mb: float

    @classmethod
    def now(cls) -> "Footprint":
        """After a collection, with what is free given back."""
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(len(asyncio.all_tasks()), pages * os.sysconf("SC_PAGE_SIZE") / BYTES_PER_MB)


@dataclass(slots=True)
class Report:
    """What was done and what went wrong."""

    frames: int = 0
    connections: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    closes: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    before: Footprint | None = None
    after: Footprint | None = None

    def fault(self, what: str, frame: Frame | None = None) -> None:
        """Note a fault, with the frame it may come from."""
        shown = "" if frame is None else f": {frame.data[:SHOWN_CHARS]!r}"
        self.faults.append(what + shown)


class _LogWatch(logging.Handler):
    """Takes errors and exceptions in the log for faults."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.WARNING)
        self._report = report
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        if record.levelno >= logging.ERROR or record.exc_info:
            self._report.fault(f"in the log: {self.format(record)}")


class Fuzz:
    """Clients at a stage, until time is up."""

    def __init__(self, stage: Stage, chance: random.Random, report: Report) -> None:
        self._stage = stage
        self._chance = chance
        self._report = report
        self._known = Known()
        self._mutator = Mutator(chance, self._known)
        self._fences = 0
        self._grants: list[tuple[str, str]] = []  # sessions and their resume tokens, good or used up

    async def run(self, *, seconds: float, visitors: int) -> None:
        """Let so many clients come and go at once."""
        until = time.monotonic() + seconds
        self._known.tokens += [self._stage.token(), self._stage.token("eva")]

        async def visitor() -> None:
            while time.monotonic() < until:
                await self._visit()

        async with asyncio.TaskGroup() as group:
            chatter = group.create_task(self._chatter(), name="chatter")
            async with asyncio.TaskGroup() as visits:
                for _ in range(visitors):
                    visits.create_task(visitor(), name="visitor")
            chatter.cancel()

    async def _visit(self) -> None:
        role = self._chance.choice((Role.NONE, Role.SPEAKER, Role.SPEAKER, Role.LISTENER, Role.LISTENER))
        try:
            client = await Client.open(self._stage.url + self._path(), token=self._token(role))
        except InvalidStatus as refused:
            if refused.response.status_code not in (401, 404):
                self._report.fault(f"upgrade answered with {refused.response.status_code}")
            return
        self._report.connections += 1
        try:
            there = await self._enter(client, role)
            for _ in range(self._chance.randrange(2, 40) if there else 0):
                if not await self._exchange(client, self._frame(role)):
                    break
            await self._leave(client)
        finally:
            client.drop()

    def _frame(self, role: Role) -> Frame:
        if role is Role.NONE or self._chance.random() < 0.2:
            return self._mutator.frame()
        if role is Role.SPEAKER and self._chance.random() < 0.2:
            return Frame(CHUNK)
        return self._mutator.frame([kind for kind, roles in ALLOWED.items() if role in roles])

    async def _enter(self, client: Client, role: Role) -> bool:
        if role is Role.NONE:
            return True
        if role is Role.SPEAKER and (not self._grants or self._chance.random() < 0.6):
            fields = self._mutator.message(ask.CreateSession)
            fields |= {"sourceLanguage": "en", "token": self._known.tokens[-1]}
        elif not self._grants or self._chance.random() < 0.6:
            fields = self._mutator.message(ask.JoinSession)
            fields |= {"targetLanguage": "es", "sessionId": self._known.session_ids[-1]}
        else:
            session_id, resume_token = self._grants.pop(self._chance.randrange(len(self._grants)))
            fields = self._mutator.message(ask.RefreshConnection)
            fields |= {"sessionId": session_id, "resumeToken": resume_token}
            fields.pop("token", None)
        return await self._exchange(client, Frame(json.dumps(fields)))

    async def _exchange(self, client: Client, frame: Frame) -> bool:
        """Send a frame and wait for its answer and a heartbeat's; whether the connection is still there."""
        want = expected(frame)
        self._fences += 1
        fence = f"fence-{self._fences}"
        client.seen.clear()
        client.binaries.clear()
        self._report.frames += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                await client.socket.send(frame.data, text=frame.text or None)
                await client.send(action="heartbeat", requestId=fence)
                while not (self._acknowledged(client, fence) and want.met_by(client.seen)):
                    await client._receive()
        except TimeoutError:
            missing = "answer" if self._acknowledged(client, fence) else "heartbeat's answer"
            self._report.fault(f"no {missing} in {ANSWER_S:g} s", frame)
            return False
        except ConnectionClosed:
            code = client.socket.close_code or 0
            self._report.closes[code] += 1
            if code not in GOOD_CLOSES and code != want.close:
                self._report.fault(f"closed with {code} {client.socket.close_reason}", frame)
            return False
        except BabelcastError as error:
            self._report.fault(f"what came is not of the protocol: {error.message}", frame)
            return False
        finally:
            self._note(client, frame)
        if want.close:
            self._report.fault(f"not closed with {want.close}", frame)
        return True

    def _note(self, client: Client, frame: Frame) -> None:
        for message in client.seen:
            self._report.answers[str(message.get("code", message["type"]))] += 1
            if message.get("code") == "INTERNAL_ERROR":
                self._report.fault("INTERNAL_ERROR", frame)
            if "resumeToken" in message:
                grant = str(message["sessionId"]), str(message["resumeToken"])
                self._grants = [*self._grants[-MOST_GRANTS:], grant]
                self._known.learn(resume_token=grant[1])
            if message["type"] == "sessionCreated":
                self._known.learn(session_id=str(message["sessionId"]))

    @staticmethod
    def _acknowledged(client: Client, fence: str) -> bool:
        return any(message.get("requestId") == fence for message in client.seen)

    async def _leave(self, client: Client) -> None:
        """Politely, or not, or with so much that nobody reads the answers."""
        match self._chance.randrange(4):
            case 0:
                return
            case 1:
                with contextlib.suppress(ConnectionClosed, OSError):
                    for _ in range(self._chance.choice((5, 300))):
                        await client.socket.send("{")
            case 2:
                with contextlib.suppress(RuntimeError):  # closing already
                    client.socket.transport.write(self._chance.randbytes(self._chance.randrange(1, 200)))
                return
        try:
            # reading on, since a client that does not read its answers does not see the close either
            await asyncio.gather(client.close(), client.closed())
        except TimeoutError:
            self._report.fault("a connection did not close")
        except BabelcastError as error:
            self._report.fault(f"what came is not of the protocol: {error.message}")

    def _path(self) -> str:
        if self._chance.random() < 0.8:
            return self._chance.choice(("/", "/ws", "/prod"))
        fields = {
            "action": self._chance.choice(("joinSession", "createSession", "endSession", *WORDS)),
            "sessionId": self._chance.choice((*self._known.session_ids, *WORDS)),
            "targetLanguage": self._chance.choice(("es", *WORDS)),
            "sourceLanguage": self._chance.choice(("en", *WORDS)),
        }
        chosen = {name: value for name, value in fields.items() if self._chance.random() < 0.7}
        if self._chance.random() < 0.3:
            chosen["token"] = self._chance.choice(self._known.tokens)
        query = urlencode(chosen, errors="replace")
        return (
            f"/?{query}" if self._chance.random() < 0.9 else "/" + quote(query, safe="=&%", errors="replace")
        )

    def _token(self, role: Role) -> str:
        if role is Role.SPEAKER:
            return self._known.tokens[-1] if self._chance.random() < 0.5 else ""
        return self._chance.choice(("", "", "", *self._known.tokens))

    async def _chatter(self) -> None:
        """Have every talk say something now and then, and forget what the stations remember for tests."""
        stations = (self._stage.transcription, self._stage.translation)
        segments: dict[Hearing, int] = {}
        while True:
            await asyncio.sleep(SENTENCE_EVERY_S)
            for hearing in stations[0].streams:
                segments[hearing] = hearing.config.first_segment
            for kept in (
                stations[0].streams,
                stations[1].segments,
                stations[1].configs,
                stations[1].expected,
            ):
                kept.clear()
            while not stations[0]._opened.empty():
                stations[0]._opened.get_nowait()
            for hearing in [one for one in segments if one.left.is_set()]:
                del segments[hearing]
            for hearing in segments:
                hearing.pieces.clear()
            if segments:
                self._say(self._chance.choice(tuple(segments)), segments)

    def _say(self, hearing: Hearing, segments: dict[Hearing, int]) -> None:
        segment = segments[hearing]
        if self._chance.random() < 0.03:
            hearing.cut()
        elif self._chance.random() < 0.5:
            hearing.partial(segment, "So far", stable="So")
        else:
            hearing.final(segment, f"Sentence {segment}.")
            segments[hearing] = segment + 1


@contextlib.asynccontextmanager
async def watched(report: Report) -> AsyncIterator[None]:
    """Every error in the log and every exception that nobody caught is a fault."""
    handler, root, loop = _LogWatch(report), logging.getLogger(), asyncio.get_running_loop()
    root.addHandler(handler)
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: report.fault(f"nobody caught: {context}"))
    try:
        yield
    finally:
        gc.collect()  # tasks that failed unseen tell of it when they are collected
        loop.set_exception_handler(before)
        root.removeHandler(handler)


async def emptied(stage: Stage, directory: Path, report: Report) -> Footprint:
    """Wait until nothing is left of anybody; what stays is a fault."""
    desk = stage.desk
    left: dict[str, Callable[[], int]] = {
        "connections": lambda: len(stage.gateway._connections),
        "rooms": lambda: len(list(desk.rooms)),
        "relays": lambda: len(desk.hub._relays),
        "absent listeners": lambda: len(desk.hub.awaited("")) + len(desk.hub._absent),
        "topics": lambda: len(stage.bus._channels),
        "streams": lambda: stage.translation.open_streams,
        "seats": lambda: _seats(directory),
    }
    try:
        await eventually(lambda: not any(count() for count in left.values()))
    except TimeoutError:
        for what, count in left.items():
            if count():
                report.fault(f"{what} left: {count()}")
    stage.transcription.streams.clear()
    return Footprint.now()


def _seats(directory: Path) -> int:
    with contextlib.closing(sqlite3.connect(directory / "sessions.sqlite3")) as record:
        (seats,) = record.execute(
            "SELECT count(*) FROM seats JOIN sessions USING (session_id) WHERE present AND NOT ended"
        ).fetchone()
        return int(seats)


async def fuzz(directory: Path, issuer: LocalIssuer, *, seconds: float, seed: int, visitors: int) -> Report:
    """Run it; the report has what went wrong."""
    report = Report()
    gateway = GatewayConfig(
        drain_seconds=5,
        resume_window_seconds=RESUME_S,
        rate_limit_heartbeats_per_min=NO_LIMIT,
        rate_limit_connection_attempts_per_min=NO_LIMIT,
    )
    record = SessionConfig(
        rate_limit_sessions_per_hour=NO_LIMIT,
        rate_limit_listener_joins_per_min=NO_LIMIT,
        speaker_grace_seconds=0.3,
        resume_window_seconds=RESUME_S,
        session_ended_seconds=1.0,
        max_concurrent_streams_per_speaker=0,  # all speakers have one token
    )
    async with watched(report), staged(directory, issuer, gateway=gateway, record=record) as stage:
        clock = asyncio.create_task(_tick(stage), name="clock")
        one = Fuzz(stage, random.Random(seed), report)
        await one.run(seconds=seconds * WARM_UP_SHARE, visitors=visitors)
        report.before = await emptied(stage, directory, report)
        await one.run(seconds=seconds * (1 - WARM_UP_SHARE), visitors=visitors)
        report.after = await emptied(stage, directory, report)
        clock.cancel()
        await asyncio.wait([clock])
    if report.after.tasks > report.before.tasks:
        report.fault(f"tasks left: {report.after.tasks - report.before.tasks}")
    if report.after.rss_mb > report.before.rss_mb + GROWTH_LIMIT_MB:
        report.fault(f"memory grew from {report.before.rss_mb:.0f} to {report.after.rss_mb:.0f} MB")
    return report


async def _tick(stage: Stage) -> None:
    started_s, at_s = time.monotonic(), stage.clock.now_s
    while True:
        await asyncio.sleep(0.01)
        stage.clock.now_s = at_s + time.monotonic() - started_s


def _print(report: Report, seconds: float) -> None:
    print(f"{report.frames} frames on {report.connections} connections in {seconds:g} s")
    print("answers:", ", ".join(f"{name} {count}" for name, count in report.answers.most_common()))
    print(
        "closed by the server:", ", ".join(f"{code} {count}" for code, count in report.closes.most_common())
    )
    if report.before is not None and report.after is not None:
        print(
            f"left when all had gone, after the first third and at the end: {report.before.tasks} and"
            f" {report.after.tasks} tasks, {report.before.rss_mb:.0f} and {report.after.rss_mb:.0f} MB"
        )
    for what, count in Counter(report.faults).most_common(20):
        print(f"FAULT ({count}): {what}")
    print("no faults" if not report.faults else f"{len(report.faults)} faults")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Fuzz the gateway and the session service.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--visitors", type=int, default=24, help="clients at once")
    options = parser.parse_args()
    print(f"{loops.machine()}; seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        report = asyncio.run(
            fuzz(
                directory,
                LocalIssuer.open(directory),
                seconds=options.seconds,
                seed=options.seed,
                visitors=options.visitors,
            )
        )
    _print(report, options.seconds)
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
