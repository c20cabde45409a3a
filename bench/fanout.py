"""What it costs to reach a large audience, and how soon the last of it is reached.

    python -m bench.fanout [--parts idle compare crowd control] [--minutes M]

The whole gateway: listeners join through the protocol, the session service runs on SQLite in another process,
and messages go over the bus within the gateway's process. Beside it, by turns in the same run, a minimal
broadcaster in C (`bench/reference`) sends the same bytes to as many listeners. Both have the same listeners,
which are in a process of their own and see to it that each gets every message once and in order.

CPU of the process that serves is what is compared; delays also show whatever else the machine does.
"""

import argparse
import asyncio
import itertools
import secrets
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.bus.base import Topic
from babelcast.protocol import codec
from babelcast.protocol import server_messages as say
from babelcast.rpc.client import open_channel
from babelcast.session.v1 import session_pb2 as pb
from babelcast.session.v1 import session_pb2_grpc
from bench.fanout_gateway import KINDS, Publish, Published
from bench.fanout_stations import stamped
from bench.load import loops as load
from bench.reference.programs import (
    Crowd,
    Program,
    broadcaster,
    build,
    crowd,
    running,
)
from gateway.rounds import encode

PARTS = ("idle", "compare", "crowd", "control")
LANGUAGE = "es"
AT_ONCE = 64  # connections on their way, but for the storm
MANY, MOST, TOLD = 2_000, 5_000, 1_000
ROUNDS, MESSAGES, INTERVAL_S = 6, 40, 0.1
CROWD_S, CROWD_INTERVAL_S = 30.0, 0.5
SPEAKERS, CHUNK_S, CHUNK_BYTES = 10, 0.1, 3_200
CONTROLS, CONTROL_REST_S = 60, 0.1
SETTLE_S = 3.0
PATIENCE_S = 30.0
NS_PER_MS = 1e6

RATIO_LIMIT = 1.4
MANY_LIMIT_MS, MOST_LIMIT_MS, INGEST_LIMIT_MS, CONTROL_LIMIT_MS = 100.0, 250.0, 20.0, 100.0
IDLE_LIMIT_KB = 30.0

SETTINGS = {
    "MAX_LISTENERS_PER_SESSION": "1000000",
    "RATE_LIMIT_LISTENER_JOINS_PER_MIN": "1000000",
    "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": "1000000",
    "IDLE_TIMEOUT_SECONDS": "7200",  # these listeners send no heartbeats
    "DRAIN_SECONDS": "1",
    "LOG_LEVEL": "ERROR",
    "HOST": "127.0.0.1",
    "PORT": "0",
}


class RefusedError(Exception):
    """The gateway answered with an error."""


class Verdicts:
    """Prints each figure beside what is wanted of it."""

    def __init__(self) -> None:
        self.good = True

    def show(self, what: str, value: float, limit: float, unit: str = "") -> None:
        """One line; a figure that is no number is too much."""
        kept = value <= limit
        self.good &= kept
        print(f"{what:72} {value:8.2f}{unit:3} wanted ≤ {limit:g}{'' if kept else '   MISSED'}", flush=True)

    def note(self, line: str) -> None:
        """Something that nothing was promised of."""
        print(f"  {line}", flush=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway with its services."""

    gateway: Program
    sessions: Program
    stations: Program
    port: int
    data_dir: Path
    receiver: Path
    sessions_target: str

    async def talk(self) -> str:
        """A session that nobody speaks in here, so that its topics are the bench's to publish on."""
        async with open_channel(self.sessions_target) as channel:
            stub: session_pb2_grpc.SessionServiceAsyncStub = session_pb2_grpc.SessionServiceStub(channel)
            created = await stub.CreateSession(
                pb.CreateSessionRequest(
                    request_id=secrets.token_urlsafe(12),
                    speaker_id="bench",
                    connection_id=secrets.token_urlsafe(12),
                    settings=pb.SessionSettings(
                        source_language="en",
                        partial_results=True,
                        min_stability=0.85,
                        max_buffer_timeout_s=5,
                    ),
                ),
                timeout=PATIENCE_S,
            )
            return created.session.session_id

    @asynccontextmanager
    async def listeners(self, session_id: str, size: int, *, at_once: int = AT_ONCE) -> AsyncIterator[Crowd]:
        """So many listeners who want Opus in binary deliveries."""
        join = {
            "action": "joinSession",
            "sessionId": session_id,
            "targetLanguage": LANGUAGE,
            "audio": "opus",
            "delivery": "binary",
        }
        async with crowd(self.receiver, port=self.port, size=size, at_once=at_once, join=join) as joined:
            yield joined

    async def publish(self, asked: Publish) -> Published:
        """Have messages published."""
        patience_s = asked.count * asked.interval_s + PATIENCE_S
        return msgspec.json.decode(
            await self.gateway.ask(_line(asked), patience_s=patience_s), type=Published
        )

    @asynccontextmanager
    async def speaker(self, number: int) -> AsyncIterator[tuple[ClientConnection, str]]:
        """A speaker who has made a session, and its code."""
        token = LocalIssuer.open(self.data_dir).mint(f"speaker-{number}")
        async with connect(
            f"ws://127.0.0.1:{self.port}/",
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
        ) as client:
            await client.send('{"action": "createSession", "sourceLanguage": "en"}')
            async for frame in client:
                answer = codec.decode_server(frame)
                if isinstance(answer, say.SessionCreated):
                    yield client, answer.session_id
                    return
                if isinstance(answer, say.Error):
                    raise RefusedError(answer.message)


@asynccontextmanager
async def staged(receiver: Path) -> AsyncIterator[Stage]:
    """A new gateway with its services, each in its own process."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        python = [sys.executable, "-m"]
        stations = await stack.enter_async_context(running([*python, "bench.fanout_stations"]))
        stations_target = f"127.0.0.1:{await stations.line()}"
        sessions_target = f"127.0.0.1:{_free_port()}"
        environ = {
            **SETTINGS,
            "DATA_DIR": str(directory),
            "SESSION_BIND": sessions_target,
            "SESSION_TARGET": sessions_target,
            "TRANSCRIPTION_TARGET": stations_target,
            "TRANSLATION_TARGET": stations_target,
        }
        sessions = await stack.enter_async_context(running([*python, "session_svc"], environ=environ))
        stack.callback(_stop, sessions)
        async with open_channel(sessions_target) as channel, asyncio.timeout(PATIENCE_S):
            await channel.channel_ready()
        gateway = await stack.enter_async_context(running([*python, "bench.fanout_gateway"], environ=environ))
        port = int(await gateway.line())
        yield Stage(gateway, sessions, stations, port, directory, receiver, sessions_target)


async def idle(stage: Stage, verdicts: Verdicts) -> None:
    """Memory of listeners who hear nothing, and what joining costs."""
    session_id = await stage.talk()
    async with stage.listeners(session_id, 1):
        await asyncio.sleep(SETTLE_S)
        before, cpu_s, sessions_s = (
            stage.gateway.memory_bytes(),
            stage.gateway.cpu_s(),
            stage.sessions.cpu_s(),
        )
        started = time.monotonic()
        async with stage.listeners(session_id, MOST) as joined:
            took_s = time.monotonic() - started
            await asyncio.sleep(SETTLE_S)
            kilobytes = (stage.gateway.memory_bytes() - before) / joined.size / 1000
            joining_ms = 1000 * (stage.gateway.cpu_s() - cpu_s) / joined.size
            sessions_ms = 1000 * (stage.sessions.cpu_s() - sessions_s) / joined.size
            verdicts.show(f"memory of an idle listener, of {MOST}", kilobytes, IDLE_LIMIT_KB, " kB")
            verdicts.note(
                f"{MOST} joins, {AT_ONCE} at once: {joined.size / took_s:.0f} a second, "
                f"p99 {load.percentile(joined.took_ms, 0.99):.0f} ms; "
                f"CPU of a join: gateway {joining_ms:.2f} ms, session service {sessions_ms:.2f} ms"
            )
            cpu_s = stage.gateway.cpu_s()
            await asyncio.sleep(SETTLE_S)
            verdicts.note(
                f"CPU while nothing is said: {(stage.gateway.cpu_s() - cpu_s) / SETTLE_S:.3f} cores"
            )
    started = time.monotonic()
    async with stage.listeners(session_id, MANY, at_once=MANY) as joined:
        took_s = time.monotonic() - started
        verdicts.note(
            f"{MANY} joins at the same moment: all in after {took_s:.1f} s, "
            f"p50 {load.percentile(joined.took_ms, 0.5):.0f} ms, "
            f"p99 {load.percentile(joined.took_ms, 0.99):.0f} ms"
        )


async def compare(stage: Stage, reference: Path, verdicts: Verdicts, *, rounds: int) -> None:
    """CPU per delivery beside the broadcaster's, by turns, and when the last listener was reached."""
    session_id = await stage.talk()
    numbers = itertools.count(1, MESSAGES)
    async with (
        broadcaster(reference) as (plain, plain_port),
        crowd(stage.receiver, port=plain_port, size=MANY, at_once=AT_ONCE) as plain_crowd,
        stage.listeners(session_id, MANY) as joined,
    ):
        for kind in ("voice", "caption"):
            ours_us: list[float] = []
            theirs_us: list[float] = []
            ours_ms: list[float] = []
            theirs_ms: list[float] = []
            for turn in range(rounds + 1):
                asked = Publish(session_id, LANGUAGE, kind, next(numbers), MESSAGES, INTERVAL_S)
                cpu_us, delays_ms = await _gateway_round(stage, joined, asked)
                plain_us, plain_ms = await _plain_round(plain, plain_crowd, asked)
                if turn:  # the first warms up
                    ours_us.append(cpu_us)
                    theirs_us.append(plain_us)
                    ours_ms += delays_ms
                    theirs_ms += plain_ms
            # of turns that follow each other, so that what else the machine does is in both
            ratio = statistics.median(ours / theirs for ours, theirs in zip(ours_us, theirs_us, strict=True))
            label = {"voice": "3 kB of Opus", "caption": "a caption of 300 bytes"}[kind]
            verdicts.show(
                f"CPU per delivery of {label} to {MANY}, times the C reference's", ratio, RATIO_LIMIT
            )
            verdicts.note(
                f"µs a delivery: gateway {_spread(ours_us)}, C {_spread(theirs_us)}; "
                f"last of {MANY} reached, p50 / p99: gateway {_halfway_and_last(ours_ms)}, "
                f"C {_halfway_and_last(theirs_ms)}"
            )
            verdicts.show(
                f"last of {MANY} listeners reached, {label}, p99",
                load.percentile(ours_ms, 0.99),
                MANY_LIMIT_MS,
                " ms",
            )


async def reach(stage: Stage, verdicts: Verdicts, *, seconds: float) -> None:
    """5,000 listeners and some speakers on the same gateway: delays, and whether all came."""
    session_id = await stage.talk()
    async with AsyncExitStack() as stack:
        joined = await stack.enter_async_context(stage.listeners(session_id, MOST))
        speakers = [(await stack.enter_async_context(stage.speaker(n)))[0] for n in range(SPEAKERS)]
        await asyncio.sleep(SETTLE_S)
        speaking = [asyncio.create_task(_speak(client), name="speak") for client in speakers]
        await stage.stations.ask("report")
        await joined.report()
        cpu_s, started = stage.gateway.cpu_s(), time.monotonic()
        count = round(seconds / CROWD_INTERVAL_S)
        published = await stage.publish(Publish(session_id, LANGUAGE, "both", 1, count, CROWD_INTERVAL_S))
        await joined.wait_for(2 * count * MOST, timeout_s=PATIENCE_S)
        cores = (stage.gateway.cpu_s() - cpu_s) / (time.monotonic() - started)
        arrivals = await joined.report()
        ingest_ms = msgspec.json.decode(await stage.stations.ask("report"), type=list[float])
        for task in speaking:
            task.cancel()
        await asyncio.wait(speaking)
        for kind in ("caption", "voice"):
            delays = _delays_ms(published, arrivals.by_kind.get(kind, {}), MOST)
            verdicts.show(
                f"last of {MOST} listeners reached, {kind}, p99",
                load.percentile(delays, 0.99),
                MOST_LIMIT_MS,
                " ms",
            )
            verdicts.note(
                ", ".join(f"p{p} {load.percentile(delays, p / 100):.0f}" for p in (50, 90, 95)) + " ms"
            )
        verdicts.show(
            f"audio of {SPEAKERS} speakers to transcription meanwhile, p99",
            load.percentile(ingest_ms, 0.99),
            INGEST_LIMIT_MS,
            " ms",
        )
        came = sum(number for kind in arrivals.by_kind.values() for number, _ in kind.values())
        missing = 2 * count * MOST - came
        verdicts.show(f"lost of {2 * count * MOST} deliveries in {seconds / 60:g} min", missing, 0)
        verdicts.show("doubled", arrivals.doubled, 0)
        verdicts.show("listeners whose connection ended", arrivals.closed, 0)
        verdicts.note(
            f"{2 / CROWD_INTERVAL_S * MOST:.0f} deliveries a second take {cores:.2f} cores of the gateway; "
            f"{len(ingest_ms)} chunks of audio, p50 {load.percentile(ingest_ms, 0.5):.1f} ms"
        )


async def control(stage: Stage, verdicts: Verdicts) -> None:
    """From a speaker's word about the broadcast to the last listener who is told, and a status' time."""
    async with stage.speaker(0) as (client, session_id), stage.listeners(session_id, TOLD) as joined:
        await asyncio.sleep(SETTLE_S)
        sent_ns: dict[int, int] = {}
        status_ms: list[float] = []
        for number in range(1, CONTROLS + 1):
            action = "pause" if number % 2 else "resume"
            sent_ns[number] = time.monotonic_ns()
            await _asked(client, "controlBroadcast", say.BroadcastControlled, controlAction=action)
            await joined.wait_for(number * TOLD, timeout_s=PATIENCE_S)
            await asyncio.sleep(CONTROL_REST_S)
            started_ns = time.monotonic_ns()
            await _asked(client, "getSessionStatus", say.SessionStatus)
            status_ms.append((time.monotonic_ns() - started_ns) / NS_PER_MS)
        arrivals = await joined.report()
        told_ms = _delays_ms(Published(sent_ns), arrivals.by_kind.get("notice", {}), TOLD)
        verdicts.show(
            f"controlBroadcast until all of {TOLD} listeners are told, p95",
            load.percentile(told_ms, 0.95),
            CONTROL_LIMIT_MS,
            " ms",
        )
        verdicts.show(
            f"getSessionStatus with {TOLD} listeners, p95",
            load.percentile(status_ms, 0.95),
            CONTROL_LIMIT_MS,
            " ms",
        )


async def _gateway_round(stage: Stage, joined: Crowd, asked: Publish) -> tuple[float, list[float]]:
    """µs of CPU a delivery, and for each message the ms until the last listener had it."""
    await joined.report()
    cpu_s = stage.gateway.cpu_s()
    published = await stage.publish(asked)
    await joined.wait_for(asked.count * joined.size, timeout_s=PATIENCE_S)
    cpu_us = 1e6 * (stage.gateway.cpu_s() - cpu_s) / (asked.count * joined.size)
    arrivals = await joined.report()
    return cpu_us, _delays_ms(published, arrivals.by_kind.get(asked.kind, {}), joined.size)


async def _plain_round(plain: Program, joined: Crowd, asked: Publish) -> tuple[float, list[float]]:
    """The same of the broadcaster, with the frames that the gateway writes."""
    await joined.report()
    (make,) = KINDS[asked.kind]
    topic = Topic(asked.session_id, asked.language)
    frames = {
        number: encode(make(topic, number), "opus", "binary", now_ms=time.time_ns() // 1_000_000)
        for number in range(asked.first, asked.first + asked.count)
    }
    at_ns: dict[int, int] = {}
    cpu_s = plain.cpu_s()
    due = time.monotonic()
    for number, frame in frames.items():
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        at_ns[number] = time.monotonic_ns()
        plain.feed(len(frame).to_bytes(4, "big") + frame)
        due += asked.interval_s
    await joined.wait_for(asked.count * joined.size, timeout_s=PATIENCE_S)
    cpu_us = 1e6 * (plain.cpu_s() - cpu_s) / (asked.count * joined.size)
    arrivals = await joined.report()
    return cpu_us, _delays_ms(Published(at_ns), arrivals.by_kind.get(asked.kind, {}), joined.size)


def _delays_ms(published: Published, arrived: dict[int, tuple[int, int]], size: int) -> list[float]:
    """Ms until the last listener had each message; endless where one did not get it."""
    delays: list[float] = []
    for number, at_ns in published.at_ns.items():
        count, last_ns = arrived.get(number, (0, 0))
        delays.append((last_ns - at_ns) / NS_PER_MS if count >= size else float("inf"))
    return delays


async def _speak(client: ClientConnection) -> None:
    """Send audio at the pace of speech until cancelled; what comes back is read and forgotten."""

    async def forget() -> None:
        async for _ in client:
            pass

    async with asyncio.TaskGroup() as group:
        group.create_task(forget())
        due = time.monotonic() + secrets.randbelow(100) / 1000
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await client.send(stamped(CHUNK_BYTES))
            due += CHUNK_S


async def _asked(client: ClientConnection, action: str, kind: type, **fields: str) -> None:
    """Ask, and wait for the answer to it."""
    request_id = secrets.token_hex(8)
    await client.send(msgspec.json.encode({"action": action, "requestId": request_id, **fields}).decode())
    async with asyncio.timeout(PATIENCE_S):
        async for frame in client:
            answer = codec.decode_server(frame)
            if isinstance(answer, say.Error):
                raise RefusedError(answer.message)
            if isinstance(answer, kind) and getattr(answer, "request_id", None) == request_id:
                return


def _halfway_and_last(values_ms: Sequence[float]) -> str:
    return f"{load.percentile(values_ms, 0.5):.0f} / {load.percentile(values_ms, 0.99):.0f} ms"


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _line(message: msgspec.Struct) -> str:
    return msgspec.json.encode(message).decode()


def _stop(program: Program) -> None:
    program.process.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


async def bench(parts: Sequence[str], *, minutes: float, rounds: int) -> bool:
    """Run and print; whether all that is wanted was kept."""
    print(load.machine(), flush=True)
    verdicts = Verdicts()
    with tempfile.TemporaryDirectory() as directory:
        receiver, reference = (build(name, Path(directory)) for name in ("receiver", "broadcaster"))
        for part in parts:
            async with staged(receiver) as stage:
                match part:
                    case "idle":
                        await idle(stage, verdicts)
                    case "compare":
                        await compare(stage, reference, verdicts, rounds=rounds)
                    case "crowd":
                        await reach(stage, verdicts, seconds=60 * minutes if minutes else CROWD_S)
                    case _:
                        await control(stage, verdicts)
    return verdicts.good


def main() -> int:
    """The command line; 1 when something wanted was missed."""
    parser = argparse.ArgumentParser(description="CPU, delays and memory of a large audience.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="how long 5,000 listen; half a minute if not given"
    )
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="turns of gateway and reference, of each kind"
    )
    options = parser.parse_args()
    return 0 if asyncio.run(bench(options.parts, minutes=options.minutes, rounds=options.rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
