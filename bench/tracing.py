"""`python -m bench.tracing`: what traces cost in CPU, by servers side by side that trace nothing, the usual
share of sessions, and all of them.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
import timeit
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as api
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import use_span

from babelcast import scripted
from babelcast.client import Listener, Speaker
from babelcast.pcm import SAMPLE_RATE_HZ, duration_ms
from babelcast.telemetry import tracing
from bench.own_server import OwnServer, own_server
from cli.engines import Engines, chosen
from gateway.tracing import TalkTraces

CHUNK_S = 0.1
STAGGER_S = 0.037
LANGUAGES = ("es", "fr", "de")
BATCH = 512
"""Spans that are exported at once."""
MOST_USUAL = 0.05
"""The promise: so much more CPU at most at the usual sampling."""
TRACED = {"off": 0.0, "off again": 0.0, "usual": 0.05, "all": 1.0}
"""What a server is called here, and the share of its speakers who ask to be traced: exactly, where a sampler
would take a share by chance.
"""


class Collector(rpc.TraceServiceServicer):
    """Counts what is exported to it."""

    def __init__(self) -> None:
        self.spans = 0
        self.port = 0

    async def Export(  # noqa: N802 - named by the contract
        self,
        request: api.ExportTraceServiceRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> api.ExportTraceServiceResponse:
        """Count the spans."""
        for resource in request.resource_spans:
            self.spans += sum(len(scope.spans) for scope in resource.scope_spans)
        return api.ExportTraceServiceResponse()


@dataclass(frozen=True, slots=True)
class System:
    """One server, and where its spans go."""

    name: str
    server: OwnServer
    collector: Collector

    def cpu_s(self) -> float:
        """What it has used so far, s."""
        stat = Path(f"/proc/{self.server.process.pid}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def system(name: str, folder: Path) -> AsyncIterator[System]:
    """A server that traces as its name says. Raises: ServiceUnavailable."""
    collector = Collector()
    receiver = grpc.aio.server()
    rpc.add_TraceServiceServicer_to_server(collector, receiver)  # type: ignore[no-untyped-call]
    collector.port = receiver.add_insecure_port("127.0.0.1:0")
    await receiver.start()
    environ = {
        **chosen(Engines.SCRIPTED, os.environ),
        "LOG_LEVEL": "WARNING",
        "RATE_LIMIT_SESSIONS_PER_HOUR": "100000",
        "RATE_LIMIT_LISTENER_JOINS_PER_MIN": "100000",
        "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": "100000",
        "OTEL_TRACES_SAMPLER_ARG": "0",
    }
    if not name.startswith("off"):
        environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"http://127.0.0.1:{collector.port}"
        environ["OTEL_EXPORTER_OTLP_TRACES_INSECURE"] = "true"
    try:
        async with own_server(folder / name.replace(" ", "-"), environ=environ) as server:
            yield System(name, server, collector)
    finally:
        await receiver.stop(0)


@contextlib.contextmanager
def asking(*, traced: bool) -> Iterator[None]:
    """A block whose messages ask to be traced, or to be not."""
    if not traced:
        yield
        return
    span = TracerProvider().get_tracer("bench").start_span("talk")
    with use_span(span, end_on_exit=True):
        yield


async def talk(system: System, number: int, *, traced: bool, begin_s: float, sentences: int) -> None:
    """One speaker and one listener, who hears Opus. Raises: BabelcastError."""
    url = system.server.url
    async with await Speaker.connect(url, token=system.server.token) as speaker:
        with asking(traced=traced):
            session = await speaker.create_session("en")
        async with await Listener.connect(url) as listener, asyncio.TaskGroup() as group:
            await listener.join(session.session_id, LANGUAGES[number % len(LANGUAGES)], audio="opus")
            group.create_task(_hear(listener), name="listener")
            group.create_task(_hear(speaker), name="speaker's events")
            sound = scripted.script_speech(number, sentences)
            size = round(2 * SAMPLE_RATE_HZ * CHUNK_S)
            for place, start in enumerate(range(0, len(sound), size)):
                await asyncio.sleep(begin_s + place * CHUNK_S - time.monotonic())
                await speaker.send_audio(sound[start : start + size])
            await speaker.end()


async def _hear(client: Listener | Speaker) -> None:
    async for _ in client:
        pass


async def measure(names: Sequence[str], *, speakers: int, seconds: float) -> "Round":
    """CPU (s) and spans of each server, in talks of so many seconds."""
    sentences = max(1, int(seconds * 1000 / duration_ms(scripted.speech(0, 0))))
    with tempfile.TemporaryDirectory() as folder:
        async with contextlib.AsyncExitStack() as stack:
            systems = [await stack.enter_async_context(system(name, Path(folder))) for name in names]
            begin_s = time.monotonic() + 1.0
            before = [one.cpu_s() for one in systems]
            async with asyncio.TaskGroup() as group:
                for number in range(speakers):
                    for one in systems:
                        traced = number < round(TRACED[one.name] * speakers)
                        group.create_task(
                            talk(
                                one,
                                number,
                                traced=traced,
                                begin_s=begin_s + number * STAGGER_S,
                                sentences=sentences,
                            )
                        )
            await asyncio.sleep(6.0)  # the last spans are exported within 5 s
            return {
                one.name: (one.cpu_s() - used_s, one.collector.spans)
                for one, used_s in zip(systems, before, strict=True)
            }


Round: TypeAlias = Mapping[str, tuple[float, int]]
"""CPU (s) and spans of each server."""


def table(rounds: Sequence[Round]) -> str:
    """All rounds together, and how far they are apart."""
    lines = ["| traced | CPU, s | against none | in a round | spans |", "| --- | --- | --- | --- | --- |"]
    for name in TRACED:
        each = [_more([one], name) for one in rounds]
        cpu_s = sum(one[name][0] for one in rounds)
        spans = sum(one[name][1] for one in rounds)
        apart = f"{min(each):+.1%} … {max(each):+.1%}"
        lines.append(f"| {name} | {cpu_s:.2f} | {_more(rounds, name):+.1%} | {apart} | {spans} |")
    return "\n".join(lines)


def _more(rounds: Sequence[Round], name: str) -> float:
    """The share by which a server took more than the two without traces."""
    without_s = sum(one["off"][0] + one["off again"][0] for one in rounds) / 2
    return sum(one[name][0] for one in rounds) / without_s - 1


def steps() -> str:
    """What single steps take, in the bench's own process."""
    provider, exporter = TracerProvider(id_generator=tracing.Ids()), InMemorySpanExporter()
    restore = tracing.install(provider)
    above = tracing.written(tracing.root(1))
    traced, untraced = TalkTraces("bench"), TalkTraces("bench")
    untraced.decide(above[:-1] + "0")

    def span() -> None:
        with tracing.stage("step", above):
            pass

    def exported() -> None:
        encode_spans(exporter.get_finished_spans()).SerializeToString()

    taken = {
        "a chunk of a talk that is not traced": lambda: untraced.chunk("", at_ms=0),
        "a chunk of a talk that is": lambda: traced.chunk("", at_ms=0),
        "a step that is not traced": tracing.current,
        "a step that is, without its export": span,
    }
    lines = ["", "| step | CPU, µs |", "| --- | --- |"]
    for name, step in taken.items():
        runs = timeit.repeat(step, number=5_000, repeat=5, timer=time.process_time)
        lines.append(f"| {name} | {min(runs) / 5_000 * 1e6:.2f} |")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for _ in range(BATCH):
        span()
    took_s = min(timeit.repeat(exported, number=5, repeat=5, timer=time.process_time)) / 5
    lines.append(f"| a span's part of its export | {took_s / BATCH * 1e6:.2f} |")
    restore()
    provider.shutdown()
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Exit code 1 when the usual sampling costs more than was promised."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracing", description=__doc__)
    parser.add_argument("--speakers", type=int, default=20, help="of each server, each with a listener")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    rounds = []
    for place in range(options.rounds):
        names = list(TRACED)[place:] + list(TRACED)[:place]
        rounds.append(asyncio.run(measure(names, speakers=options.speakers, seconds=options.seconds)))
    print(table(rounds))
    print(steps())
    return 0 if _more(rounds, "usual") <= MOST_USUAL else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
