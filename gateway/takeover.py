"""Becoming the owner of a talk that another owner began: claim, read, and only then go on."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from babelcast.bus.base import Bus, Topic
from babelcast.errors import ServiceUnavailable
from babelcast.event.v1 import event_pb2 as event
from gateway.backoff import Backoff
from gateway.handover import Handover, Log, hand_over, read_log

ATTEMPT_S = 15.0
"""For all topics; a bus out of reach says so sooner."""
AGAIN_WITHIN_S = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inheritance:
    """Where the talk is, and the number of the last voice of each language that was claimed."""

    handover: Handover
    sequences: Mapping[str, int]
    log: Log
    captions: Mapping[str, Sequence[event.Caption]]
    """The final captions that are published, by language."""


async def take_over(
    bus: Bus, session_id: str, *, source: str, epoch: int, languages: Callable[[], set[str]]
) -> Inheritance:
    """Claim the talk's topics and read them, again and again while the bus is out of reach.

    The source's topic comes first: from then on no sentence is added by an owner before this one, nor then to
    the `languages` that are listened to or were owed something.

    Raises: NotOwner when there is an owner after this one.
    """
    backoff = Backoff(most_s=AGAIN_WITHIN_S)
    while True:
        await backoff.wait()
        try:
            async with asyncio.timeout(ATTEMPT_S):
                return await _attempt(bus, session_id, source=source, epoch=epoch, languages=languages)
        except (ServiceUnavailable, TimeoutError):
            log.warning("a talk waits for the bus to be taken over", extra={"epoch": epoch})


async def _attempt(
    bus: Bus, session_id: str, *, source: str, epoch: int, languages: Callable[[], set[str]]
) -> Inheritance:
    topic = Topic(session_id, source)
    await bus.claim(topic, epoch=epoch)
    read = read_log(await bus.history(topic, after_sequence=0))
    targets = sorted({*languages(), *read.owed_at_ms} - {source})
    topics = [Topic(session_id, language) for language in targets]
    claimed = await asyncio.gather(*(bus.claim(target, epoch=epoch) for target in topics))
    histories = await asyncio.gather(*(bus.history(target, after_sequence=0) for target in topics))
    handover = hand_over(read, dict(zip(targets, histories, strict=True)), source=source, epoch=epoch)
    captions = {target: _final_captions(history) for target, history in zip(targets, histories, strict=True)}
    return Inheritance(handover, dict(zip(targets, claimed, strict=True)), read, captions)


def _final_captions(history: Iterable[event.Broadcast]) -> list[event.Caption]:
    return [
        broadcast.caption
        for broadcast in history
        if broadcast.HasField("caption") and broadcast.caption.is_final
    ]
