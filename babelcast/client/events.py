"""What a client's iterator yields besides the server's own messages."""

from dataclasses import dataclass
from typing import TypeAlias

from babelcast.protocol.server_messages import AnyServerMessage, TranslatedAudio


@dataclass(frozen=True, slots=True)
class Voice:
    """A spoken sentence with its sound, however it was delivered."""

    message: TranslatedAudio
    """Its `audio_data` is not needed: `audio` is decoded."""
    audio: bytes
    """Signed 16-bit little-endian PCM, or an Ogg Opus clip, as `message.format` says."""


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """Voice messages are missing: the next one is numbered `found` where `expected` was due."""

    language: str
    expected: int
    """The first number that is missing."""
    found: int
    """The first number after the gap."""

    @property
    def missing(self) -> int:
        """How many voice messages are missing."""
        return self.found - self.expected


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection is lost or about to end; a new one is being made."""

    code: int
    """The close code, or 0 when the server asked for the change and the old connection still serves."""
    reason: str
    """The server's words; `draining` or `maxDuration` when it asked."""


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The role is on a new connection."""


@dataclass(frozen=True, slots=True)
class AudioDropped:
    """Sound was lost: the connection was away or too slow for longer than sound is kept for."""

    bytes_dropped: int


@dataclass(frozen=True, slots=True)
class EventsDropped:
    """The iterator did not keep up; so many older events were dropped."""

    count: int


Incoming: TypeAlias = AnyServerMessage | Voice
Event: TypeAlias = Incoming | SequenceGap | Reconnecting | Reconnected | AudioDropped | EventsDropped
