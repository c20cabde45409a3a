"""The last part of a topic, in memory, and those who follow it."""

from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from babelcast.bus.base import SlowSubscriber
from babelcast.channel import Channel
from babelcast.event.v1.event_pb2 import Broadcast

MAX_KEPT = 2_000
KEPT_PER_S = 10
"""More than is published in a second of speech, of which there are five partial texts at most: so final texts
of a long window are not lost to partial ones.
"""


def most_kept(retention_s: float) -> int:
    """How many messages of a topic are kept at most."""
    return max(MAX_KEPT, round(KEPT_PER_S * retention_s))


@dataclass(frozen=True, slots=True)
class Kept:
    """A broadcast and when it was published, seconds of whatever clock the ring's owner has."""

    at_s: float
    broadcast: Broadcast


class RingSubscription:
    """Policy: a subscriber that is `capacity` messages behind is ended; nobody waits for it."""

    def __init__(self, ring: "Ring", *, capacity: int) -> None:
        self._ring = ring
        self._capacity = capacity
        self._channel: Channel[Broadcast] = Channel(capacity)
        self._slow = False

    def offer(self, broadcast: Broadcast) -> None:
        """Take a broadcast, or end."""
        if len(self._channel) >= self._capacity:
            self._slow = True
            self.close()
            return
        self._channel.send_dropping_oldest(broadcast)

    async def __aiter__(self) -> AsyncIterator[Broadcast]:
        async for broadcast in self._channel:
            yield broadcast
        if self._slow:
            raise SlowSubscriber

    def next_nowait(self) -> Broadcast | None:
        """What the iteration would give next, if it has come already; None otherwise."""
        return self._channel.receive_nowait()

    def close(self) -> None:
        """End the iteration after what is queued; idempotent."""
        self._ring.subscriptions.discard(self)
        self._channel.close()


class Ring:
    """Keeps `retention_s` seconds, at most `max_kept` messages; hands new ones to its subscriptions."""

    def __init__(self, *, retention_s: float, max_kept: int | None = None) -> None:
        """`max_kept` is what `most_kept` says unless given."""
        self.subscriptions: set[RingSubscription] = set()
        self._retention_s = retention_s
        self._max_kept = max_kept or most_kept(retention_s)
        self._kept: deque[Kept] = deque()

    def append(self, broadcast: Broadcast, *, at_s: float, now_s: float) -> None:
        """Put a broadcast at the end and hand it to every subscription."""
        self._kept.append(Kept(at_s, broadcast))
        self.expire(now_s)
        for subscription in tuple(self.subscriptions):
            subscription.offer(broadcast)

    def prepend(self, older: Iterable[Kept]) -> None:
        """Put what came before the first; nobody is told."""
        self._kept.extendleft(reversed(tuple(older)))

    def expire(self, now_s: float) -> None:
        """Let go of what is too old or too much."""
        while self._kept and (
            len(self._kept) > self._max_kept or self._kept[0].at_s < now_s - self._retention_s
        ):
            self._kept.popleft()

    def after(self, sequence: int, *, now_s: float) -> Sequence[Broadcast]:
        """What is kept after the voice message with a number."""
        self.expire(now_s)
        return following(self._kept, sequence)

    def subscribe(self, *, capacity: int) -> RingSubscription:
        """Receive everything appended from now on."""
        subscription = RingSubscription(self, capacity=capacity)
        self.subscriptions.add(subscription)
        return subscription

    def close(self) -> None:
        """End every subscription."""
        for subscription in tuple(self.subscriptions):
            subscription.close()


def following(kept: Iterable[Kept], sequence: int) -> list[Broadcast]:
    """The broadcasts after the last voice message with a number up to `sequence`."""
    found: list[Broadcast] = []
    for entry in kept:
        if entry.broadcast.HasField("audio") and entry.broadcast.audio.sequence <= sequence:
            found.clear()
        else:
            found.append(entry.broadcast)
    return found
