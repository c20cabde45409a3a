"""The segment that is open, and what can be asked of the decoder about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from transcription_svc.endpointing import Pause
from transcription_svc.engines.base import Word
from transcription_svc.segment_policy import Due
from transcription_svc.stabilizer import Caption, Stabilizer


class TaskKind(Enum):
    """Why to decode."""

    PARTIAL = "partial"
    """What has been said up to now?"""
    CLOSING = "closing"
    """Is what was said up to this pause all?"""
    CUT = "cut"
    """What was said up to a pause inside a segment that has grown too long?"""


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of the stream to decode."""

    kind: TaskKind
    start: int
    end: int
    timed: bool = False
    thorough: bool = True
    pause: Pause | None = None
    """Where a cut is tried."""
    prefix: tuple[Word, ...] = ()
    """What is said at its start and belongs to the segment before."""


@dataclass(slots=True)
class OpenSegment:
    """The segment that is open."""

    start: int
    """First sample that is decoded."""
    speech_start: int
    due: Due
    stabilizer: Stabilizer
    next_partial: int
    """Position at which the next partial result is due."""
    partials: int = 0
    closing: Sequence[str] | None = None
    """What was decoded of the pause that is going on."""
    closing_end: int = 0
    stuck: bool = False
    """Whether the last hypothesis said the same as the one before."""
    sentence: int = 0
    """Words of the first sentence in the last hypothesis that had one."""
    clause: int = 0
    """Words up to the last end of a clause in the last hypothesis that had one, none behind it."""
    shown: Caption | None = None
    refused_cuts: set[int] = field(default_factory=set)
    """Starts of pauses that turned out to lie before committed words."""
    weak_cuts: set[int] = field(default_factory=set)
    """Starts of pauses before which the text did not end a clause."""
    goes_on_with: str = ""
    """First word as it was heard before the cut, in its place in the sentence."""
    prefix: tuple[Word, ...] = ()
    """What is said between `start` and `speech_start`, of the segment before."""
    said_before: str = ""
    """Last word of the segment before, if the cut between them may have left its sound in this one."""
