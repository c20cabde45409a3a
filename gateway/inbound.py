"""How far the chunks of a talk have come, through all the connections that its speaker has had. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.ledger import UNKNOWN, Place
from gateway.reorder import Reorder


@dataclass(slots=True)
class Inbound:
    """Belongs to a pipeline: a new one has a new count, or goes on with that of an owner before it."""

    order: Reorder = field(default_factory=Reorder)
    last_s: float | None = None
    """When the last chunk came, s of the gateway's clock."""
    hiding: bool = False
    """Whether the last chunk was not to be heard."""
    _hidden: Sequence[int] = ()
    _resume: Place | None = None

    def resume(self, place: Place, *, hidden: Sequence[int] = ()) -> None:
        """Another owner has answered all up to a place; the chunks between each two numbers of `hidden` were
        not to be heard.
        """
        self._hidden = tuple(hidden)
        if place.sequence != UNKNOWN:
            self.order.reopen(after=place.sequence)
            self._resume = place

    def reconnected(self) -> None:
        """The speaker is on another connection."""
        self.order.reopen(after=self.order.last)

    def came(self, sequence: int | None) -> None:
        """A chunk comes, with or without a number. What is sent again has one: without, it is what is said
        now, by a client that sends nothing again.
        """
        if sequence is None:
            self._resume = None

    def is_hidden(self, number: int | None) -> bool:
        """Whether a chunk that is sent again came first when it was not to be heard."""
        if number is None or not self._hidden:
            return False
        if number > max(self._hidden):
            self._hidden = ()
        ranges = zip(self._hidden[::2], self._hidden[1::2], strict=True)
        return any(first <= number <= last for first, last in ranges)

    def begins_again(self, number: int | None) -> Place | None:
        """Asked of each chunk in turn: where what is sent again begins, if this is the first of it."""
        place, self._resume = self._resume, None
        return place if place is not None and number == place.sequence + 1 else None
