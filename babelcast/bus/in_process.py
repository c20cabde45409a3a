"""The bus within one process: a ring per topic, a bounded queue per subscription."""

from collections.abc import Callable, Sequence

from babelcast.bus.base import NotOwner, Subscription, Topic
from babelcast.bus.ring import Ring
from babelcast.event.v1.event_pb2 import Broadcast

QUEUE_CAPACITY = 1_000


class _Channel:
    """A topic: its ring, its owner's epoch, and the number of its last voice message."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.epoch = 0
        self.last_sequence = 0


class InProcessBus:
    """Keeps `retention_s` seconds of each topic, at most `max_kept` messages or what a ring usually keeps."""

    def __init__(
        self, *, retention_s: float, clock: Callable[[], float], max_kept: int | None = None
    ) -> None:
        """`clock` gives seconds that only go forward."""
        self._retention_s = retention_s
        self._max_kept = max_kept
        self._clock = clock
        self._channels: dict[Topic, _Channel] = {}

    @property
    def available(self) -> bool:
        """Always."""
        return True

    async def claim(self, topic: Topic, *, epoch: int = 0) -> int:
        """Fence off the owners with a lower epoch."""
        channel = self._channel(topic)
        if epoch < channel.epoch:
            raise NotOwner(topic)
        channel.epoch = epoch
        return channel.last_sequence

    async def publish(self, topic: Topic, broadcast: Broadcast, *, epoch: int = 0) -> None:
        """Append to the topic and hand it to every subscription."""
        await self.claim(topic, epoch=epoch)
        channel = self._channel(topic)
        if broadcast.HasField("audio"):
            channel.last_sequence = broadcast.audio.sequence
        now_s = self._clock()
        channel.ring.append(broadcast, at_s=now_s, now_s=now_s)

    async def subscribe(self, topic: Topic) -> Subscription:
        """Receive everything published from now on."""
        return self._channel(topic).ring.subscribe(capacity=QUEUE_CAPACITY)

    async def history(self, topic: Topic, *, after_sequence: int) -> Sequence[Broadcast]:
        """What is kept after the voice message numbered `after_sequence`."""
        channel = self._channels.get(topic)
        return () if channel is None else channel.ring.after(after_sequence, now_s=self._clock())

    async def last_sequence(self, topic: Topic) -> int:
        """The number of the last voice message; 0 when there is none."""
        channel = self._channels.get(topic)
        return 0 if channel is None else channel.last_sequence

    async def forget(self, session_id: str) -> None:
        """Drop the topics of an ended session; their subscriptions end."""
        for topic in [topic for topic in self._channels if topic.session_id == session_id]:
            self._channels.pop(topic).ring.close()

    async def aclose(self) -> None:
        """End every subscription."""
        for channel in self._channels.values():
            channel.ring.close()
        self._channels.clear()

    def _channel(self, topic: Topic) -> _Channel:
        channel = self._channels.get(topic)
        if channel is None:
            ring = Ring(retention_s=self._retention_s, max_kept=self._max_kept)
            channel = self._channels[topic] = _Channel(ring)
        return channel
