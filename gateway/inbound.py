"""How far the chunks of a talk have come, through all the connections that its speaker has had. Pure."""

from dataclasses import dataclass, field

from gateway.ledger import UNKNOWN, Place
from gateway.reorder import Reorder


@dataclass(slots=True)
class Inbound:
    """Belongs to a pipeline: a new one has a new count, or goes on with that of an owner before it."""

    order: Reorder = field(default_factory=Reorder)
    last_s: float | None = None
    """When the last chunk came, s of the gateway's clock."""
    _resume: Place | None = None

    def resume(self, place: Place) -> None:
        """Another owner has answered all up to a place."""
        if place.sequence != UNKNOWN:
            self.order.reopen(after=place.sequence)
            self._resume = place

    def reconnected(self) -> None:
        """The speaker is on another connection."""
        self.order.reopen(after=self.order.last)

    def begins_again(self, number: int | None) -> Place | None:
        """Asked of each chunk in turn: where what is sent again begins, if this is the first of it."""
        place, self._resume = self._resume, None
        return place if place is not None and number == place.sequence + 1 else None
