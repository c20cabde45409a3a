"""Becoming the owner of a talk that another owner began."""

import asyncio
import time

import pytest

from babelcast.bus.base import NotOwner, Topic
from babelcast.bus.in_process import InProcessBus
from babelcast.errors import ServiceUnavailable
from babelcast.event.v1 import event_pb2 as event
from gateway.takeover import Inheritance, take_over

SOURCE, SPANISH, FRENCH = (Topic("calm-lake-1", language) for language in ("en", "es", "fr"))


class Absent(InProcessBus):
    """Out of reach for the first few claims."""

    refusals = 0

    async def claim(self, topic: Topic, *, epoch: int = 0) -> int:
        """Refuse, or claim."""
        if self.refusals:
            self.refusals -= 1
            raise ServiceUnavailable("The bus is out of reach.")
        return await super().claim(topic, epoch=epoch)


@pytest.fixture
async def bus(monkeypatch: pytest.MonkeyPatch) -> Absent:
    """With a sentence that is owed to Spanish, which has heard two before."""
    monkeypatch.setattr("gateway.backoff.FIRST_S", 0.001)
    bus = Absent(retention_s=60, clock=time.monotonic)
    said = event.Transcript(
        segment=2, text="Three.", is_final=True, sentence=event.Sentence(owed=[event.Owed(language="es")])
    )
    await bus.publish(SOURCE, event.Broadcast(transcript=said), epoch=1)
    for number in (1, 2):
        voice = event.TranslatedAudio(sequence=number, segment=number - 1)
        await bus.publish(SPANISH, event.Broadcast(audio=voice), epoch=1)
    return bus


async def taken(bus: Absent, *, epoch: int, languages: frozenset[str] = frozenset()) -> Inheritance:
    """What a new owner gets."""
    return await take_over(bus, "calm-lake-1", source="en", epoch=epoch, languages=lambda: set(languages))


async def test_all_topics_are_claimed_and_read(bus: Absent) -> None:
    """Those that were owed something and those that are listened to; no owner before adds to them."""
    inheritance = await taken(bus, epoch=2, languages=frozenset({"fr", "en"}))
    assert inheritance.sequences == {"es": 2, "fr": 0}
    assert inheritance.handover.next_segment == 3
    assert [set(sentence.waiting) for sentence in inheritance.handover.sentences] == [{"es"}]
    for topic in (SOURCE, SPANISH, FRENCH):
        with pytest.raises(NotOwner):
            await bus.publish(topic, event.Broadcast(), epoch=1)


async def test_a_bus_that_is_away_is_asked_again(bus: Absent) -> None:
    """For as long as it takes."""
    bus.refusals = 4
    assert (await taken(bus, epoch=2)).sequences == {"es": 2}


async def test_a_claim_that_comes_too_late_is_refused(bus: Absent) -> None:
    """Whoever speaks now has a higher number, though the lower one claims after it."""
    await bus.claim(SOURCE, epoch=3)
    with pytest.raises(NotOwner):
        await taken(bus, epoch=2)


async def test_an_attempt_that_hangs_is_given_up(bus: Absent, monkeypatch: pytest.MonkeyPatch) -> None:
    """And made again."""
    monkeypatch.setattr("gateway.takeover.ATTEMPT_S", 0.01)
    histories = bus.history

    async def hang(*_: object, **__: object) -> None:
        monkeypatch.setattr(bus, "history", histories)
        await asyncio.Event().wait()

    monkeypatch.setattr(bus, "history", hang)
    assert (await taken(bus, epoch=2)).handover.next_segment == 3
