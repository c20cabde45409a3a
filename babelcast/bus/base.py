"""The bus port: what an owner publishes, every gateway with listeners receives."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from babelcast.event.v1.event_pb2 import Broadcast


@dataclass(frozen=True, slots=True)
class Topic:
    """One language of one session."""

    session_id: str
    language: str


class SlowSubscriber(Exception):
    """The subscription fell too far behind and was ended; what it missed is in the history."""


class Subscription(Protocol):
    """Live broadcasts of one topic, in order, each once."""

    def __aiter__(self) -> AsyncIterator[Broadcast]:
        """Iterate until closed.

        Raises: SlowSubscriber.
        """
        ...

    def close(self) -> None:
        """End the iteration; idempotent."""
        ...


class Bus(Protocol):
    """Ordered topics with a short history. Only a session's owner publishes on its topics."""

    async def publish(self, topic: Topic, broadcast: Broadcast) -> None:
        """Append to the topic; returns once it is in the history.

        Raises: ServiceUnavailable.
        """
        ...

    async def subscribe(self, topic: Topic) -> Subscription:
        """Receive everything published after this call returns."""
        ...

    async def history(self, topic: Topic, *, after_sequence: int) -> Sequence[Broadcast]:
        """What is kept of what came after the voice message numbered `after_sequence`; 0 for all."""
        ...

    async def last_sequence(self, topic: Topic) -> int:
        """The number of the last voice message published on the topic; 0 when there is none."""
        ...

    async def forget(self, session_id: str) -> None:
        """Drop the history of an ended session."""
        ...

    async def aclose(self) -> None:
        """End every subscription and let go of connections."""
        ...
