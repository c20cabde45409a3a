"""What is measured of a stream's sound beside recognition, and never in its way: quality and dynamics.

What takes CPU runs in a thread, one look at a time, on copies. A look that fails or hangs costs quality
events and pitch; recognition does not wait for it, and a final result for `PATIENCE_S` at most.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.telemetry import instruments
from transcription_svc.audio import Samples
from transcription_svc.dynamics import NEUTRAL, Baseline, Dynamics, FrameTrack, Unmeasured, measure, pitches
from transcription_svc.quality import Finding, Look, QualityChange, QualityMonitor, QualityPolicy, judge

PATIENCE_S = 0.1
"""How long a final result waits for the pitch of its last second."""

log = logging.getLogger(__name__)

Report = Callable[[QualityChange], Awaitable[None]]
Measured = tuple[Finding | None, dict[int, float]]


@dataclass(frozen=True, slots=True)
class ListeningPolicy:
    """What to measure, and by which thresholds."""

    quality: QualityPolicy | None = field(default_factory=QualityPolicy)
    """None: nothing is measured of it, and nobody is warned."""
    emotion: bool = True
    """Without it no pitch is measured, and segments have a level, a rate and an energy alone."""
    baseline_ttl_s: float = 60.0
    """Audio after the last sentence for which a speaker's baseline holds."""


class Listening:
    """One stream's quality and dynamics. Close it."""

    def __init__(self, report: Report, policy: ListeningPolicy) -> None:
        """`report` hears what changes in the quality."""
        self._report = report
        self._emotion = policy.emotion
        self._monitor = QualityMonitor(policy.quality) if policy.quality is not None else None
        self._track = FrameTrack()
        self._baseline = Baseline(ttl_s=policy.baseline_ttl_s)
        self._position = 0
        self._looked = 0
        self._look: asyncio.Task[None] | None = None
        self._late: asyncio.Task[None] | None = None

    async def hear(self, samples: Samples, speech: Samples) -> None:
        """Take whole frames with their speech probabilities; waits for nothing but `report`."""
        self._position += len(samples)
        self._track.hear(samples, speech)
        if self._monitor is not None:
            for change in self._monitor.hear(samples, speech):
                await self._report(change)
        if self._position - self._looked >= SAMPLE_RATE_HZ and not self._looking():
            self._looked = self._position
            if self._monitor is not None or self._emotion:
                self._begin(self._monitor.look() if self._monitor is not None else None)

    async def dynamics(self, start: int, end: int, text: str) -> Dynamics:
        """How the segment between two positions was said; neutral when that is not known in time."""
        if not await self._pitched():
            instruments.DYNAMICS_FAILURES.add(1)
            return NEUTRAL
        new = measure(self._track.between(start, end), text)
        if new is None:
            return NEUTRAL
        return self._baseline.describe(new, start=start, end=end, emotion=self._emotion)

    async def aclose(self) -> None:
        """Stop measuring; a look under way is left to its thread, which holds nothing but copies."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.wait([self._look])

    async def _pitched(self) -> bool:
        """Bring in the pitch of all that was heard; False when it takes too long or fails."""
        if not self._emotion:
            return True
        if self._looking() and self._look is self._late:
            return False  # waited for once already
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._looking() or self._track.unmeasured() is not None:
                    if not self._looking():
                        self._begin(None)
                    # shielded by `wait`: giving up here lets the look go on
                    await asyncio.wait([self._look] if self._look is not None else [])
                    if self._failed():
                        return False
        except TimeoutError:
            self._late = self._look
            return False
        return True

    def _looking(self) -> bool:
        return self._look is not None and not self._look.done()

    def _failed(self) -> bool:
        look = self._look
        return look is not None and look.done() and (look.cancelled() or look.exception() is not None)

    def _begin(self, look: Look | None) -> None:
        speech = self._track.unmeasured() if self._emotion else None
        self._look = asyncio.create_task(self._measure(look, speech), name="look at the sound")
        self._look.add_done_callback(_tell_failure)

    async def _measure(self, look: Look | None, speech: Unmeasured | None) -> None:
        finding, found = await asyncio.to_thread(_measured, look, speech)
        self._track.take(found)
        if finding is not None and self._monitor is not None:
            for change in self._monitor.take(finding):
                await self._report(change)


def _measured(look: Look | None, speech: Unmeasured | None) -> Measured:
    return (
        judge(look) if look is not None else None,
        pitches(speech) if speech is not None else {},
    )


def _tell_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("sound not measured", exc_info=task.exception())
