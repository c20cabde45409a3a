"""What goes through the service: segments in, answers out."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TypeAlias

from babelcast.errors import ErrorCode

MAX_TEXT_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Prosody:
    """How a segment was said, against the speaker's usual."""

    volume_db: float = 0.0
    """Level, dB; 0 is usual."""
    rate: float = 1.0
    """Rate; 1 is usual."""
    emotion: str = "neutral"
    """neutral, calm, excited or emphatic."""
    intensity: float = 0.0
    """How much of the emotion, 0 to 1."""
    pace: float = 1.0
    """How much quicker than that it is to be spoken, to keep up with the speaker."""


class Tier(StrEnum):
    """How good, and so how dear, a session's voices are."""

    STANDARD = "standard"
    PREMIUM = "premium"


@dataclass(frozen=True, slots=True)
class Target:
    """One language wanted for one segment."""

    language: str
    speak: bool = False
    opus: bool = False
    unplayed_s: float = 0.0
    """Voice of earlier segments that is still to be heard, s."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the talk, for the languages in `targets`."""

    number: int
    revision: int
    text: str
    is_final: bool
    targets: tuple[Target, ...]
    prosody: Prosody = Prosody()
    ended_ago_s: float = 0.0
    """How long ago its speech ended when it came, s."""
    traceparent: str = ""
    """Its trace context; empty when it is not traced."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A segment's text in one language."""

    segment: int
    revision: int
    language: str
    text: str
    is_final: bool
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Clip:
    """Sound: signed 16-bit little-endian mono samples, and what making it took."""

    pcm: bytes
    sample_rate_hz: int
    engine: str = ""
    """What spoke it, by its name in the table of prices."""
    characters: int = 0
    """How many characters that engine charges for."""

    @property
    def duration_ms(self) -> int:
        """Length, ms."""
        return round(len(self.pcm) * 500 / self.sample_rate_hz)


@dataclass(frozen=True, slots=True)
class Speech:
    """A segment's voice in one language; `opus` is the same clip as Ogg Opus, or empty."""

    segment: int
    language: str
    clip: Clip
    opus: bytes = b""
    merged: tuple[int, ...] = ()
    """Further segments that it speaks."""
    pace: float = 1.0
    """How much quicker than usual."""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class SpokenOver:
    """A segment that is not spoken in one language, so that the voice keeps up with the speaker."""

    segment: int
    language: str
    traceparent: str = ""


class Component(Enum):
    """A station: one that failed, or one that worked and is paid for."""

    TRANSLATION = "translation"
    SPEECH = "speech"


@dataclass(frozen=True, slots=True)
class Failure:
    """What one language did not get of one segment."""

    segment: int
    revision: int
    language: str
    component: Component
    reason: ErrorCode
    is_final: bool
    traceparent: str = ""


Answer: TypeAlias = Translation | Speech | SpokenOver | Failure
