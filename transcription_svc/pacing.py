"""How often a stream has partial results: at fixed places of its audio, more seldom under real load alone.

What is decoded where decides which words are committed, so a late decode moves nothing by itself: the audio
after it waits a little, and the next place stays the same. Only when decodes are slow for some time, or would
let live audio wait for too long, places further apart are taken. How fast the audio comes does not matter: a
stream that hears again what an earlier one has heard takes the same places. Pure.
"""

_AT_EASE = 0.7
"""Share of the usual time between partial results that decodes may take on average."""
_BEHIND = 2.0
"""Live audio may wait for so much of that time before partial results become rarer."""
_NEWS = 0.1
"""Weight of the newest decode in the running mean."""
_LOAD_FACTOR = 2.5
"""Pause between partial results under load, in multiples of the time one takes: leaves room for finals."""
_SLOWEST_MS = 3000.0


class Pace:
    """Follows the decodes of one stream."""

    def __init__(self, usual_ms: float) -> None:
        """`usual_ms` is the time between partial results while there is no load."""
        self._usual_ms = usual_ms
        self._mean_ms = 0.0
        self._behind_ms = 0.0
        self._position_ms = 0.0
        self.interval_ms = usual_ms
        """Time between partial results from now on, ms of audio."""

    @property
    def slowed(self) -> bool:
        """Whether partial results come more seldom than usual."""
        return self.interval_ms > self._usual_ms

    def took(self, took_ms: float, *, position_ms: float) -> None:
        """A decode took so long, its wait for a worker included; audio up to `position_ms` was heard then."""
        passed_ms = position_ms - self._position_ms
        self._position_ms = position_ms
        # how far audio would be behind that comes at the pace of speech
        self._behind_ms = max(0.0, self._behind_ms - passed_ms) + took_ms
        self._mean_ms += _NEWS * (took_ms - self._mean_ms)
        at_ease = self._mean_ms <= _AT_EASE * self._usual_ms and self._behind_ms <= _BEHIND * self._usual_ms
        slower_ms = min(_LOAD_FACTOR * max(took_ms, self._mean_ms), _SLOWEST_MS)
        self.interval_ms = self._usual_ms if at_ease else max(self._usual_ms, slower_ms)
