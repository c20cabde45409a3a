"""`python -m bench.bus`: what a message costs between gateways, in process and over NATS, by turns.

A hop is the time from `publish` to the subscriber that has it, of the same gateway or of another one. CPU is
of this process, publisher and subscriber together, and of the server.
"""

import argparse
import asyncio
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from babelcast.bus.base import Bus, Topic
from babelcast.bus.config import BusConfig
from babelcast.bus.in_process import InProcessBus
from babelcast.bus.nats.bus import NatsBus
from babelcast.event.v1.event_pb2 import Broadcast

SCRIPT = Path(__file__).parents[1] / "deploy" / "dev" / "nats"
RETENTION_S = 120.0
MOST_MORE_MS = 5.0
PAUSE_S = 0.002


@dataclass(slots=True)
class Hops:
    """Of one bus and one kind of message: times to the subscriber and CPU, ms a message."""

    taken_ms: list[float]
    cpu_ms: float
    server_cpu_ms: float

    @property
    def median_ms(self) -> float:
        """Half come sooner."""
        return statistics.median(self.taken_ms)

    @property
    def p99_ms(self) -> float:
        """One in a hundred comes later."""
        return statistics.quantiles(self.taken_ms, n=100)[98]


def caption(topic: Topic, sequence: int) -> Broadcast:
    """A caption of some 300 bytes."""
    broadcast = Broadcast(session_id=topic.session_id, language=topic.language)
    broadcast.caption.segment = sequence
    broadcast.caption.text = "x" * 140
    broadcast.caption.source_text = "y" * 120
    broadcast.caption.is_final = True
    return broadcast


def speech(topic: Topic, sequence: int) -> Broadcast:
    """Four seconds of voice at 22,050 Hz, and as Opus."""
    broadcast = caption(topic, sequence)
    broadcast.audio.sequence = sequence
    broadcast.audio.pcm = bytes(4 * 2 * 22_050)
    broadcast.audio.opus = bytes(12_000)
    return broadcast


MESSAGES = {"caption, 300 bytes": caption, "voice, 190 kB": speech}


async def hops(speaking: Bus, listening: Bus, *, kind: str, count: int, server: int | None) -> Hops:
    """Publish `count` messages one by one, and see when each arrives."""
    topic = Topic("bench-" + kind.partition(",")[0], f"x{time.monotonic_ns()}")
    subscription = await listening.subscribe(topic)
    messages = [MESSAGES[kind](topic, sequence) for sequence in range(1, count + 1)]
    arrived_s: list[float] = []
    sent_s: list[float] = []

    async def listen() -> None:
        async for _ in subscription:
            arrived_s.append(time.perf_counter())
            if len(arrived_s) == count:
                return

    await listening.last_sequence(topic)
    listener = asyncio.create_task(listen())
    await speaking.claim(topic)
    cpu_s, server_s = time.process_time(), _cpu_s(server)
    for message in messages:
        sent_s.append(time.perf_counter())
        await speaking.publish(topic, message)
        await asyncio.sleep(PAUSE_S)
    await listener
    cpu_ms = 1000 * (time.process_time() - cpu_s) / count
    server_ms = 1000 * (_cpu_s(server) - server_s) / count
    subscription.close()
    taken_ms = [1000 * (arrived - sent) for sent, arrived in zip(sent_s, arrived_s, strict=True)]
    return Hops(taken_ms, cpu_ms, server_ms)


async def measure(count: int, rounds: int) -> bool:
    """Print the table; whether the promise is kept."""
    kept = True
    async with _nats() as (url, server):
        local = InProcessBus(retention_s=RETENTION_S, clock=time.monotonic)
        first, second = [
            await NatsBus.open(BusConfig(bus_url=url), retention_s=RETENTION_S, clock=time.monotonic)
            for _ in range(2)
        ]
        ways: dict[str, tuple[Bus, Bus, int | None]] = {
            "in process": (local, local, None),
            "NATS, one gateway": (first, first, server),
            "NATS, two gateways": (first, second, server),
        }
        print(f"{'':22}{'':20}{'median':>9}{'p99':>9}{'CPU':>9}{'server CPU':>12}   ms a message")
        for kind in MESSAGES:
            by_way: dict[str, list[Hops]] = {way: [] for way in ways}
            for _ in range(rounds):
                for way, (speaking, listening, pid) in ways.items():
                    by_way[way].append(await hops(speaking, listening, kind=kind, count=count, server=pid))
            medians = {}
            for way, found in by_way.items():
                medians[way] = statistics.median(one.median_ms for one in found)
                p99_ms = statistics.median(one.p99_ms for one in found)
                cpu_ms = statistics.median(one.cpu_ms for one in found)
                server_ms = statistics.median(one.server_cpu_ms for one in found)
                row = f"{medians[way]:9.2f}{p99_ms:9.2f}{cpu_ms:9.2f}{server_ms:12.2f}"
                print(f"{kind:22}{way:20}{row}")
            more_ms = medians["NATS, two gateways"] - medians["in process"]
            kept = kept and more_ms <= MOST_MORE_MS
            print(
                f"{'':22}a hop to another gateway takes {more_ms:.2f} ms more (promised: {MOST_MORE_MS:.0f})"
            )
        for bus in (first, second, local):
            await bus.aclose()
    return kept


@asynccontextmanager
async def _nats() -> AsyncIterator[tuple[str, int]]:
    """A server with a store of its own: its address and its process."""
    with tempfile.TemporaryDirectory() as store:
        port = _free_port()
        process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
            [SCRIPT, "run", str(port), store],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "END_WITH_PARENT": "1"},
        )
        try:
            yield f"nats://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _cpu_s(pid: int | None) -> float:
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure; 1 when the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=300, help="messages of a kind, a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    kept = asyncio.run(measure(options.messages, options.rounds))
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
