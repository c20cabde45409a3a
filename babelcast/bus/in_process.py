"""The bus within one process: a ring per topic, a bounded queue per subscription."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from babelcast.bus.base import SlowSubscriber, Subscription, Topic
from babelcast.channel import Channel
from babelcast.event.v1.event_pb2 import Broadcast

QUEUE_CAPACITY = 1_000


@dataclass(slots=True)
class _Kept:
    at_s: float
    broadcast: Broadcast


@dataclass(slots=True)
class _Ring:
    kept: deque[_Kept] = field(default_factory=deque)
    subscriptions: "set[_Subscription]" = field(default_factory=set)
    last_sequence: int = 0


class _Subscription:
    """Policy: a subscriber that is QUEUE_CAPACITY behind is ended; nobody waits for it."""

    def __init__(self, ring: _Ring) -> None:
        self._ring = ring
        self._channel: Channel[Broadcast] = Channel(QUEUE_CAPACITY)
        self._slow = False

    def offer(self, broadcast: Broadcast) -> None:
        if len(self._channel) >= QUEUE_CAPACITY:
            self._slow = True
            self.close()
            return
        self._channel.send_dropping_oldest(broadcast)

    async def __aiter__(self) -> AsyncIterator[Broadcast]:
        async for broadcast in self._channel:
            yield broadcast
        if self._slow:
            raise SlowSubscriber

    def close(self) -> None:
        self._ring.subscriptions.discard(self)
        self._channel.close()


class InProcessBus:
    """Keeps `retention_s` seconds and at most `max_kept` messages of each topic."""

    def __init__(self, *, retention_s: float, clock: Callable[[], float], max_kept: int = 2_000) -> None:
        """`clock` gives seconds that only go forward."""
        self._retention_s = retention_s
        self._max_kept = max_kept
        self._clock = clock
        self._rings: dict[Topic, _Ring] = {}

    async def publish(self, topic: Topic, broadcast: Broadcast) -> None:
        """Append to the topic and hand it to every subscription."""
        ring = self._rings.setdefault(topic, _Ring())
        now = self._clock()
        if broadcast.HasField("audio"):
            ring.last_sequence = broadcast.audio.sequence
        ring.kept.append(_Kept(now, broadcast))
        while len(ring.kept) > self._max_kept or ring.kept[0].at_s < now - self._retention_s:
            ring.kept.popleft()
        for subscription in tuple(ring.subscriptions):
            subscription.offer(broadcast)

    async def subscribe(self, topic: Topic) -> Subscription:
        """Receive everything published from now on."""
        ring = self._rings.setdefault(topic, _Ring())
        subscription = _Subscription(ring)
        ring.subscriptions.add(subscription)
        return subscription

    async def history(self, topic: Topic, *, after_sequence: int) -> Sequence[Broadcast]:
        """What is kept after the voice message numbered `after_sequence`."""
        ring = self._rings.get(topic)
        if ring is None:
            return ()
        oldest = self._clock() - self._retention_s
        missed: list[Broadcast] = []
        for entry in reversed(ring.kept):
            reached = entry.broadcast.HasField("audio") and entry.broadcast.audio.sequence <= after_sequence
            if reached or entry.at_s < oldest:
                break
            missed.append(entry.broadcast)
        missed.reverse()
        return missed

    async def last_sequence(self, topic: Topic) -> int:
        """The number of the last voice message; 0 when there is none."""
        ring = self._rings.get(topic)
        return 0 if ring is None else ring.last_sequence

    async def forget(self, session_id: str) -> None:
        """Drop the topics of an ended session; their subscriptions end."""
        for topic in [topic for topic in self._rings if topic.session_id == session_id]:
            self._close(self._rings.pop(topic))

    async def aclose(self) -> None:
        """End every subscription."""
        for ring in self._rings.values():
            self._close(ring)
        self._rings.clear()

    @staticmethod
    def _close(ring: _Ring) -> None:
        for subscription in tuple(ring.subscriptions):
            subscription.close()
