"""The gateway of `bench.fanout`, in a process of its own, and the messages that are sent through it.

It is the gateway as it is, composed from the environment. What is published on its bus is told by standard
input: lines of JSON, one `Publish` each, answered by one `Published`.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import msgspec

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.bus.base import Topic
from babelcast.event.v1.event_pb2 import Broadcast
from babelcast.logs import configure
from gateway.composition import GatewayOnBus, start_here
from gateway.server import Issuers

VOICE_BYTES = 3_000  # of Opus
CAPTION_CHARACTERS = 82  # in each language, so that a caption's JSON has 300 bytes
TEXT = "Somebody says a sentence of a length that is usual for people who speak to others. "


class Publish(msgspec.Struct, frozen=True):
    """Publish messages, one every `interval_s`; "both" is a caption and the voice that speaks it."""

    session_id: str
    language: str
    kind: str
    first: int
    count: int
    interval_s: float


class Published(msgspec.Struct, frozen=True):
    """When each number was handed to the bus, ns of the monotonic clock."""

    at_ns: dict[int, int]


def voice(topic: Topic, number: int) -> Broadcast:
    """A voice message whose Opus has 3 kB, which is a second and a bit."""
    broadcast = Broadcast(session_id=topic.session_id, language=topic.language)
    spoken = broadcast.audio
    spoken.sequence, spoken.segment = number, number
    spoken.text = spoken.source_text = TEXT
    spoken.opus = bytes(VOICE_BYTES)
    spoken.sample_rate_hz, spoken.duration_ms = 16_000, 1_100
    spoken.dynamics.emotion = "neutral"
    return broadcast


def caption(topic: Topic, number: int) -> Broadcast:
    """A final caption of 300 bytes."""
    broadcast = Broadcast(session_id=topic.session_id, language=topic.language)
    shown = broadcast.caption
    shown.segment, shown.revision, shown.is_final = number, 1, True
    shown.text = shown.source_text = TEXT[:CAPTION_CHARACTERS]
    return broadcast


KINDS = {"voice": (voice,), "caption": (caption,), "both": (caption, voice)}


async def publish(served: GatewayOnBus, asked: Publish) -> Published:
    """Publish at an even pace: what is late is not left out."""
    topic = Topic(asked.session_id, asked.language)
    at_ns: dict[int, int] = {}
    due = time.monotonic()
    for number in range(asked.first, asked.first + asked.count):
        made = [make(topic, number) for make in KINDS[asked.kind]]
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        at_ns[number] = time.monotonic_ns()
        for broadcast in made:
            await served.bus.publish(topic, broadcast)
        due += asked.interval_s
    return Published(at_ns)


async def main() -> None:
    """Serve until standard input ends."""
    issuers = Issuers(local=LocalIssuer.open(Path(os.environ["DATA_DIR"])))
    served = await start_here(os.environ, issuers=issuers)
    try:
        print(served.port, flush=True)
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        async for line in lines:
            answer = await publish(served, msgspec.json.decode(line, type=Publish))
            print(msgspec.json.encode(answer).decode(), flush=True)
    finally:
        await served.aclose()


if __name__ == "__main__":
    configure(service="bench", level="WARNING")
    asyncio.run(main())
