"""What only the in-process bus promises."""

from babelcast.bus.base import Topic
from babelcast.bus.in_process import InProcessBus
from babelcast.event.v1.event_pb2 import Broadcast

TOPIC = Topic("golden-eagle-427", "es")


async def test_keeps_at_most_so_many_messages() -> None:
    """However fast a session talks, the memory of its past is bounded; the oldest go first."""
    bus = InProcessBus(retention_s=1e9, clock=lambda: 0.0, max_kept=3)
    for sequence in range(1, 6):
        broadcast = Broadcast()
        broadcast.audio.sequence = sequence
        await bus.publish(TOPIC, broadcast)
    kept = await bus.history(TOPIC, after_sequence=0)
    assert [broadcast.audio.sequence for broadcast in kept] == [3, 4, 5]
    assert await bus.last_sequence(TOPIC) == 5
