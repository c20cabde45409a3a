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


class NotOwner(Exception):
    """Somebody else owns the topic now; nothing was published.

    Not a BabelcastError: it is no answer to a client and nothing to try again. The talk here is over.
    """

    def __init__(self, topic: Topic) -> None:
        super().__init__(f"another gateway publishes {topic.language} of its session")
        self.topic = topic


class Subscription(Protocol):
    """Live broadcasts of one topic, in order, each once."""

    def __aiter__(self) -> AsyncIterator[Broadcast]:
        """Iterate until closed.

        Raises: SlowSubscriber.
        """
        ...

    def next_nowait(self) -> Broadcast | None:
        """What the iteration would give next, if it has come already; None otherwise."""
        ...

    def close(self) -> None:
        """End the iteration; idempotent."""
        ...


class Bus(Protocol):
    """Ordered topics with a short history. Only a topic's owner publishes on it.

    An `epoch` counts the owners of a session: a new owner has a higher one than those before it. Of two with
    the same epoch the one that claims later is the owner.
    """

    @property
    def available(self) -> bool:
        """Whether new listeners can be served; false when the bus was out of reach for long."""
        ...

    async def claim(self, topic: Topic, *, epoch: int = 0) -> int:
        """Become the topic's owner: from now on no owner before this one can publish on it. Returns the
        number of the last voice message, which stays the last until this owner publishes. Idempotent.

        Raises: NotOwner when there is an owner with a higher epoch, ServiceUnavailable.
        """
        ...

    async def publish(self, topic: Topic, broadcast: Broadcast, *, epoch: int = 0) -> None:
        """Append to the topic, which is claimed first if it was not yet. Returns once it is in the history;
        while the bus is out of reach, once it is kept to be published in its turn.

        Raises: NotOwner, MessageTooLarge.
        """
        ...

    async def subscribe(self, topic: Topic) -> Subscription:
        """Receive everything published after this call returns.

        Raises: ServiceUnavailable.
        """
        ...

    async def history(self, topic: Topic, *, after_sequence: int) -> Sequence[Broadcast]:
        """What is kept of what came after the voice message numbered `after_sequence`; 0 for all.

        Raises: ServiceUnavailable.
        """
        ...

    async def last_sequence(self, topic: Topic) -> int:
        """The number of the last voice message published on the topic; 0 when there is none.

        Raises: ServiceUnavailable.
        """
        ...

    async def forget(self, session_id: str) -> None:
        """End the topics of a session that is over, for all subscribers, and drop its history.

        Raises: ServiceUnavailable.
        """
        ...

    async def aclose(self) -> None:
        """End every subscription and let go of connections; idempotent."""
        ...
