"""The one writer of a session."""

import pytest

from babelcast.archive.in_process import InProcessArchive
from babelcast.bus.base import Topic
from babelcast.bus.in_process import InProcessBus
from babelcast.errors import ServiceUnavailable
from babelcast.event.v1 import event_pb2 as event
from babelcast.session.v1 import session_pb2 as session_api
from gateway.publisher import Publisher


class CutOff(InProcessBus):
    """A bus that cannot claim just now; what is published waits for the servers."""

    async def claim(self, topic: Topic, *, epoch: int = 0) -> int:
        """Refuse."""
        raise ServiceUnavailable("The bus is out of reach.")

    async def publish(self, topic: Topic, broadcast: event.Broadcast, *, epoch: int = 0) -> None:
        """Take it."""


def publisher(*, epoch: int) -> Publisher:
    """Of a session's owner with this number."""
    return Publisher(
        session_api.Session(session_id="calm-otter-112"),
        bus=CutOff(retention_s=120, clock=lambda: 0.0),
        archive=InProcessArchive(retention_s=60, clock_ms=lambda: 0, max_bytes=1_000),
        awaited=set,
        epoch=epoch,
        tell_speaker=lambda _: None,
        clock_ms=lambda: 0,
    )


async def test_the_first_owner_numbers_voices_though_the_bus_is_away() -> None:
    """Nobody was before it, so there is nothing to be asked for."""
    first = publisher(epoch=1)
    spoken = [event.TranslatedAudio(segment=number) for number in range(3)]
    for voice in spoken:
        await first.voice("es", voice)
    assert [voice.sequence for voice in spoken] == [1, 2, 3]


async def test_a_later_owner_asks_how_far_the_one_before_has_come() -> None:
    """Without an answer no number is given."""
    with pytest.raises(ServiceUnavailable):
        await publisher(epoch=2).voice("es", event.TranslatedAudio(segment=7))
