"""What of an engine's results is shown, the same for every engine. Pure: the time is an argument.

- A stream that wants no partial results gets none.
- At most five partial results go out in any second; of those that wait the newest wins, and a final one,
  which always goes at once, makes those before it pointless.
- A partial result that would take back stable text is not shown.
- Revisions count what goes out, so that they have no gaps.
"""

import dataclasses
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from transcription_svc.engines.base import SegmentResult
from transcription_svc.stabilizer import prefix_distances
from transcription_svc.words import key, pieces

PARTIALS_PER_SECOND = 5
CORRECTION_SHARE = 0.2
"""A final result that changes more of the words last shown is a correction."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A result that goes out."""

    result: SegmentResult
    changed: float = 0.0
    """In a final result the share of the words last shown that it changes, 0.0 to 1.0."""

    @property
    def corrects(self) -> bool:
        """Whether it is a correction of what was shown."""
        return self.changed > CORRECTION_SHARE


class Delivery:
    """Follows the results of one stream."""

    def __init__(self, *, partial_results: bool) -> None:
        self._partial_results = partial_results
        self._sent_s: deque[float] = deque(maxlen=PARTIALS_PER_SECOND)
        self._held: SegmentResult | None = None
        self._shown: SegmentResult | None = None

    @property
    def due_s(self) -> float | None:
        """When the partial result that waits may go out; None when none waits."""
        return None if self._held is None else self._sent_s[0] + 1.0

    def offer(self, result: SegmentResult, now_s: float) -> Delivered | None:
        """Take the engine's next result; returns what goes out now."""
        if result.is_final:
            self._held = None
            shown = self._shown if self._shown and self._shown.segment == result.segment else None
            changed = changed_share(shown.text, result.text) if shown else 0.0
            return Delivered(self._numbered(result), changed)
        if not self._partial_results:
            return None
        self._held = result
        return self.release(now_s)

    def release(self, now_s: float) -> Delivered | None:
        """The partial result that waits, if its time has come."""
        result = self._held
        if result is None or (len(self._sent_s) == PARTIALS_PER_SECOND and now_s < self._sent_s[0] + 1.0):
            return None
        self._held = None
        if self._takes_back(result):
            return None
        self._sent_s.append(now_s)
        return Delivered(self._numbered(result))

    def _takes_back(self, result: SegmentResult) -> bool:
        shown = self._shown
        return (
            shown is not None
            and shown.segment == result.segment
            and not result.stable_text.startswith(shown.stable_text)
        )

    def _numbered(self, result: SegmentResult) -> SegmentResult:
        again = self._shown is not None and self._shown.segment == result.segment
        revision = self._shown.revision + 1 if again and self._shown is not None else 0
        self._shown = dataclasses.replace(result, revision=revision)
        return self._shown


def changed_share(shown: str, final: str) -> float:
    """Share of the shown words that a final text changes, 0.0 to 1.0.

    Words that only one of the two has at its end count as no change: the final text goes on, or what was
    shown goes on in the next segment.
    """
    before, after = [[key(word) for word in pieces(text)] for text in (shown, final)]
    if not before or not after:
        return 0.0
    longer = min(prefix_distances(before, after)) / len(before)
    shorter = _best(prefix_distances(after, before))
    return min(1.0, longer, shorter)


def _best(distances: Sequence[int]) -> float:
    """The smallest distance, as a share of the prefix that it belongs to."""
    return min(distance / length for length, distance in enumerate(distances) if length)
