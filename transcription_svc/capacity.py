"""How many streams may be open at once."""

import contextlib
from collections.abc import Iterator

from babelcast.errors import CapacityExhausted


class Capacity:
    """Counts places. One more stream than can be served live would make all late, so it is refused."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("at least one stream must be possible")
        self.limit = limit
        self.open = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold one place.

        Raises: CapacityExhausted when all are taken.
        """
        if self.open >= self.limit:
            raise CapacityExhausted(f"All {self.limit} transcription streams are in use.")
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
