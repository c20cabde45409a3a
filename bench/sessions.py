"""How long creating, joining, reading and controlling sessions takes, over gRPC into SQLite.

    python -m bench.sessions [--callers N] [--seconds S] [--rates R,R,…] [--audience N]

The session service runs in a process of its own, with its default limits but for the seats of a session.
`status` reads a session with a large audience, and `control` changes its volume. The environment is passed
on, so that with SESSION_STORE=dynamodb the record is in tables.
The calls come from this process, with one watch open as every gateway has it. Both share the machine, so the
client's own time is in the figures; the last columns say what a call cost each of them in CPU. `health` is a
call that does nothing: what gRPC alone costs here. It is measured under each load just before the call that
is compared with it, so that both have the same noise of the machine.
"""

import argparse
import asyncio
import itertools
import os
import random
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.errors import ServiceUnavailable
from babelcast.rpc.client import open_channel
from babelcast.session.v1 import session_pb2 as pb
from babelcast.session.v1 import session_pb2_grpc
from bench.load import loops
from bench.load.loops import Call, Outcome

P99_LIMIT_MS = 25.0
READY_S = 20.0
DEADLINE_S = 10.0
TALKS = 200
WARM_UP_S = 1.0
BURST_EVERY_S = 0.25
FEW_CALLERS = 16
LANGUAGES = ("es", "fr", "pt", "it", "ca", "gl")


@dataclass(frozen=True, slots=True)
class Service:
    """A session service in a process of its own."""

    target: str
    pid: int

    def cpu_s(self) -> float:
        """The time its threads have computed so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Kind(Enum):
    """A way of calling; see bench/load/loops.py."""

    CLOSED = "closed loop"
    BURSTS = "bursts"
    OPEN = "open loop"


@dataclass(frozen=True, slots=True)
class Shape:
    """A way of calling, and for the open loop how often a second."""

    kind: Kind
    rate: float = 0.0


class Calls:
    """What is called: every create and every join is another client's."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: session_pb2_grpc.SessionServiceAsyncStub = session_pb2_grpc.SessionServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        self._numbers = itertools.count()
        self._codes: list[str] = []
        self._large = self._speaker = ""
        self._settings = pb.SessionSettings(
            source_language="en", partial_results=True, min_stability=0.85, max_buffer_timeout_s=5
        )

    async def prepare(self, talks: int) -> None:
        """Make the sessions that are joined."""
        for _ in range(talks):
            self._codes.append((await self._create()).session.session_id)

    async def health(self) -> None:
        """Nothing but a call."""
        await self._health.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S)

    async def watch(self) -> None:
        """Hear of every change, as a gateway does, until cancelled."""
        while True:
            try:
                async for _ in self._stub.WatchSessions(pb.WatchSessionsRequest()):
                    pass
            except grpc.aio.AioRpcError:  # it fell behind
                await asyncio.sleep(0.1)

    async def create(self) -> None:
        """A speaker makes a session."""
        await self._create()

    async def join(self) -> None:
        """A listener takes a seat, in one session after the other."""
        number = next(self._numbers)
        request = pb.JoinSessionRequest(
            session_id=self._codes[number % len(self._codes)],
            connection_id=secrets.token_urlsafe(12),
            target_language=LANGUAGES[number % len(LANGUAGES)],
            client_address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        )
        await self._stub.JoinSession(request, timeout=DEADLINE_S)

    async def fill(self, audience: int) -> None:
        """Make the session that is read, and give it so many listeners."""
        speaker = secrets.token_urlsafe(12)
        self._large = (await self._create(speaker)).session.session_id
        self._speaker = speaker
        for number in range(audience):
            request = pb.JoinSessionRequest(
                session_id=self._large,
                connection_id=secrets.token_urlsafe(12),
                target_language=LANGUAGES[number % len(LANGUAGES)],
            )
            await self._stub.JoinSession(request, timeout=DEADLINE_S)

    async def status(self) -> None:
        """Somebody reads the session with the large audience."""
        await self._stub.GetSession(pb.GetSessionRequest(session_id=self._large), timeout=DEADLINE_S)

    async def control(self) -> None:
        """Its speaker sets another volume."""
        request = pb.UpdateBroadcastRequest(
            session_id=self._large, connection_id=self._speaker, volume=next(self._numbers) % 101 / 100
        )
        await self._stub.UpdateBroadcast(request, timeout=DEADLINE_S)

    async def _create(self, connection_id: str = "") -> pb.CreateSessionResponse:
        connection_id = connection_id or secrets.token_urlsafe(12)
        request = pb.CreateSessionRequest(
            request_id=f"{connection_id}:1",
            speaker_id=f"speaker-{next(self._numbers)}",
            connection_id=connection_id,
            settings=self._settings,
        )
        return await self._stub.CreateSession(request, timeout=DEADLINE_S)


@asynccontextmanager
async def own_service(data_dir: Path) -> AsyncIterator[Service]:
    """Start `python -m session_svc`, wait until it listens, and stop it at the end.

    Raises: ServiceUnavailable when it does not come up.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        target = f"127.0.0.1:{free.getsockname()[1]}"
    environ = {
        **os.environ,
        "SESSION_BIND": target,
        "DATA_DIR": str(data_dir),
        "DRAIN_SECONDS": "1",
        "MAX_LISTENERS_PER_SESSION": "1000000",
        "LOG_LEVEL": "ERROR",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "session_svc", env=environ)
    try:
        async with open_channel(target) as channel:
            try:
                async with asyncio.timeout(READY_S):
                    await channel.channel_ready()
            except TimeoutError as error:
                raise ServiceUnavailable("The session service did not come up.") from error
        yield Service(target, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def bench(shapes: Sequence[Shape], *, callers: int, seconds: float, audience: int) -> bool:
    """Run and print; whether p99 is within the limit for creating and joining in the closed loop."""
    print(f"{loops.machine()}; {callers} callers, {seconds:g} s each")
    print(
        "call    load            calls/s     p50     p95     p99     max (ms)   CPU ms a call: server, client"
    )
    good = True
    with tempfile.TemporaryDirectory() as directory:
        async with own_service(Path(directory)) as service, open_channel(service.target) as channel:
            calls = Calls(channel)
            await calls.prepare(TALKS)
            watching = asyncio.create_task(calls.watch(), name="watch")
            measured = Measured(service, callers=callers, seconds=seconds)
            for name, call in (("create", calls.create), ("join", calls.join)):
                await loops.closed_loop(call, callers=callers, seconds=WARM_UP_S)
                for shape in shapes:
                    yardstick = await measured.show("health", shape, calls.health)
                    outcome = await measured.show(name, shape, call)
                    times = outcome.percentile(0.99) / yardstick.percentile(0.99)
                    print(f"{name:7} {'':14} p99 is {times:.1f} times that of a call that does nothing")
                    good &= shape.kind is not Kind.CLOSED or outcome.percentile(0.99) <= P99_LIMIT_MS
            await calls.fill(audience)
            few = Measured(service, callers=FEW_CALLERS, seconds=seconds)
            print(f"with {audience} listeners, {FEW_CALLERS} callers:")
            for name, call in (
                ("health", calls.health),
                ("status", calls.status),
                ("control", calls.control),
            ):
                await few.show(name, Shape(Kind.CLOSED), call)
            watching.cancel()
            await asyncio.wait([watching])
    print(f"p99 with {callers} callers at once is {'within' if good else 'ABOVE'} {P99_LIMIT_MS:g} ms")
    return good


@dataclass(frozen=True, slots=True)
class Measured:
    """Puts a load on a service and prints what came of it."""

    service: Service
    callers: int
    seconds: float

    async def show(self, name: str, shape: Shape, call: Call) -> Outcome:
        """One line of the table."""
        server_s, client_s = self.service.cpu_s(), time.process_time()
        outcome = await self._run(shape, call)
        answered = max(1, len(outcome.latencies_ms))
        server_ms = (self.service.cpu_s() - server_s) * loops.MS_PER_S / answered
        client_ms = (time.process_time() - client_s) * loops.MS_PER_S / answered
        cuts = " ".join(f"{outcome.percentile(share):7.1f}" for share in (0.5, 0.95, 0.99, 1.0))
        label = f"open {shape.rate:g}/s" if shape.kind is Kind.OPEN else shape.kind.value
        failed = f"   failed: {outcome.failures}" if outcome.failures else ""
        cpu = f"{server_ms:.2f} {client_ms:.2f}"
        print(f"{name:7} {label:14} {outcome.rate:8.0f} {cuts}          {cpu}{failed}", flush=True)
        return outcome

    async def _run(self, shape: Shape, call: Call) -> Outcome:
        match shape.kind:
            case Kind.CLOSED:
                return await loops.closed_loop(call, callers=self.callers, seconds=self.seconds)
            case Kind.BURSTS:
                return await loops.bursts(
                    call, callers=self.callers, every_s=BURST_EVERY_S, seconds=self.seconds
                )
            case Kind.OPEN:
                return await loops.open_loop(
                    call,
                    rate=shape.rate,
                    seconds=self.seconds,
                    at_most=self.callers,
                    chance=random.Random(1),
                )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Latency of creating and joining sessions.")
    parser.add_argument("--callers", type=int, default=64, help="calls under way at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each load lasts")
    parser.add_argument("--rates", default="200,500,1000", help="calls a second of the open loops")
    parser.add_argument("--audience", type=int, default=1000, help="listeners of the session that is read")
    options = parser.parse_args()
    shapes = [Shape(Kind.CLOSED), Shape(Kind.BURSTS)]
    shapes += [Shape(Kind.OPEN, float(rate)) for rate in options.rates.split(",") if rate]
    good = asyncio.run(
        bench(shapes, callers=options.callers, seconds=options.seconds, audience=options.audience)
    )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
