"""Ports of recognition.

A `Transcriber` takes a whole stream and answers with segments; that is what the service knows. A `Decoder`
turns one piece of audio into words; `recognition.LiveTranscriber` makes a Transcriber of any Decoder.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from transcription_svc.audio import Samples


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do."""

    name: str
    """As shown to operators, e.g. whisper-base."""
    languages: tuple[str, ...]
    """ISO 639-1 codes that can be spoken, sorted."""
    partial_results: bool = True
    """Whether text comes while a segment is being spoken."""
    word_times: bool = False
    """Whether the engine knows when each word was said."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a stream asks of an engine. Positions count 16 kHz samples from the stream's start."""

    language: str
    partial_results: bool = True
    min_stability: float = 0.85
    max_segment_s: float = 5.0
    first_segment: int = 0


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """The text of one segment as known now; see TranscriptResult of the service's contract."""

    segment: int
    revision: int
    text: str
    stable_text: str
    is_final: bool
    stability: float
    start: int
    """Position of the first voiced sample."""
    end: int
    """Position after the last voiced sample."""


class Recognition(Protocol):
    """One stream at an engine."""

    async def feed(self, samples: Samples, speech: Samples) -> None:
        """Take whole frames with their speech probabilities; waits while the engine is too far behind."""
        ...

    async def finish(self) -> None:
        """No more audio comes: the results end after what is open was answered."""
        ...

    def results(self) -> AsyncIterator[SegmentResult]:
        """All results in order; ends after `finish`."""
        ...

    async def aclose(self) -> None:
        """Stop at once; idempotent."""
        ...


class Transcriber(Protocol):
    """An engine for live streams."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def open(self, options: StreamOptions) -> Recognition:
        """Start a stream."""
        ...

    async def aclose(self) -> None:
        """Free the engine; no stream is open any more."""
        ...


class Effort(Enum):
    """How much work a piece of audio is worth."""

    QUICK = "quick"
    """A partial result: greedy, shortest context."""
    THOROUGH = "thorough"
    """A final result: beam search, and once more with full context when the first try looks wrong."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its punctuation."""

    text: str
    start_s: float = 0.0
    """From the start of the decoded audio; 0.0 in an untimed hypothesis."""
    end_s: float = 0.0
    tokens: tuple[int, ...] = ()
    """How the decoder that heard it spells it; of no use to others."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What one piece of audio seems to say; no words when nothing credible was said."""

    words: tuple[Word, ...] = ()
    timed: bool = False
    """Whether the words carry times."""
    average_logprob: float = 0.0
    """Mean log probability of a token, 0.0 is certainty."""


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """How to decode a piece of audio."""

    language: str
    effort: Effort
    timed: bool = False
    """Whether word times are needed."""
    prefix: tuple[Word, ...] = ()
    """What is known to be said at the start of the audio; the hypothesis is what comes after it."""


class Decoder(Protocol):
    """Turns a piece of audio into words. Blocking and safe to call from several threads."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def decode(self, samples: Samples, task: DecodeTask) -> Hypothesis:
        """Decode 16 kHz samples."""
        ...
