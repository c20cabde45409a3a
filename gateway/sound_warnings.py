"""Which warnings about the sound a speaker gets: one per issue a minute, then the all-clear. Pure."""

from dataclasses import dataclass, field
from math import inf, log10

from babelcast.session.v1 import session_pb2 as session_api
from babelcast.transcription.v1 import transcription_pb2 as api

REPEAT_MS = 60_000
SETTLE_MS = 6_000
"""Audio after a mute or a gap that has to be silent too: the detector's own 5 s and some more."""
GAP_MS = 2_000
"""Time without audio that counts as a gap: a pause, or a client that is away."""
CONFIRM_MS = 15_000
"""Sound in which a new stream finds again what is still wrong."""


@dataclass(slots=True)
class _Standing:
    event: api.QualityEvent | None = None
    """The last event, while the issue is there."""
    shown: bool = False
    warned_ms: float = -inf
    doubtful_since_ms: float = inf


@dataclass(slots=True)
class SoundWarnings:
    """Follows one talk over all its streams. Times are any clock's, ms."""

    _issues: dict[int, _Standing] = field(default_factory=dict)
    _heard_ms: float = -inf
    _hushed_ms: float = -inf

    def change(self, event: api.QualityEvent) -> None:
        """An issue appeared or cleared."""
        standing = self._issues.setdefault(event.issue, _Standing())
        standing.event = event if event.active else None
        standing.doubtful_since_ms = inf

    def reopened(self, now_ms: float) -> None:
        """A new stream listens, and knows nothing of the last one's issues: those that it does not find again
        have cleared, and those that were not told are told when it finds them.
        """
        for standing in self._issues.values():
            standing.doubtful_since_ms = now_ms
            if not standing.shown:
                standing.event = None

    def heard(self, now_ms: float, state: session_api.BroadcastState) -> None:
        """Audio came, under these controls of the speaker."""
        if state.is_muted or state.volume == 0.0 or now_ms - self._heard_ms > GAP_MS:
            self._hushed_ms = now_ms
        self._heard_ms = now_ms

    def due(self, now_ms: float, state: session_api.BroadcastState) -> list[api.QualityEvent]:
        """What the speaker is to be told now."""
        told = []
        for issue, standing in self._issues.items():
            if now_ms - standing.doubtful_since_ms > CONFIRM_MS:
                standing.event = None
            if standing.event is None and standing.shown:
                standing.shown = False
                told.append(api.QualityEvent(issue=api.QualityIssue.ValueType(issue), active=False))
            elif standing.event is not None and self._warns(standing, standing.event, now_ms, state):
                standing.shown = True
                standing.warned_ms = now_ms
                told.append(standing.event)
        return told

    def _warns(
        self,
        standing: _Standing,
        event: api.QualityEvent,
        now_ms: float,
        state: session_api.BroadcastState,
    ) -> bool:
        if standing.shown or now_ms - standing.warned_ms < REPEAT_MS:
            return False
        if event.issue != api.QUALITY_ISSUE_SILENCE:
            return True
        if state.is_paused or state.is_muted or state.volume == 0.0 or now_ms - self._hushed_ms < SETTLE_MS:
            return False
        # the service hears the volume that was set; the microphone may be louder
        measured = event.measurements
        level_dbfs = measured["level_dbfs"] - 20.0 * log10(state.volume) if "level_dbfs" in measured else -inf
        return level_dbfs < measured.get("threshold_dbfs", 0.0)
