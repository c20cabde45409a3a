"""What the session service keeps and speaks of, free of protobuf and SQL.

Times are ms since the Unix epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class QualityTier(StrEnum):
    """Grade of engines a speaker asks for."""

    STANDARD = "standard"
    PREMIUM = "premium"


class Role(StrEnum):
    """What a connection is in its session."""

    SPEAKER = "speaker"
    LISTENER = "listener"


class EndReason(StrEnum):
    """Why a session ends when nobody says why."""

    SPEAKER_ENDED = "speakerEnded"
    SPEAKER_DISCONNECTED = "speakerDisconnected"
    EXPIRED = "expired"
    ENDED_BY_OPERATOR = "endedByOperator"


class Life(StrEnum):
    """Where a session stands at some moment."""

    ABSENT = "absent"
    LIVE = "live"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class GlossaryTerm:
    """A term of the source language and its fixed translations by target language."""

    term: str
    translations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the speaker chose at creation.

    `min_stability` is 0.70 to 0.95, `max_buffer_timeout_s` 2 to 10.
    """

    source_language: str
    quality_tier: QualityTier = QualityTier.STANDARD
    partial_results: bool = True
    min_stability: float = 0.85
    max_buffer_timeout_s: float = 5.0
    glossary: tuple[GlossaryTerm, ...] = ()


@dataclass(frozen=True, slots=True)
class Broadcast:
    """The speaker's controls; `volume` is 0.0 to 1.0."""

    last_change_ms: int
    is_paused: bool = False
    is_muted: bool = False
    volume: float = 1.0


@dataclass(frozen=True, slots=True)
class Controls:
    """A change of the speaker's controls; None leaves a field as it is."""

    is_paused: bool | None = None
    is_muted: bool | None = None
    volume: float | None = None

    def change(self, broadcast: Broadcast) -> bool:
        """Whether they would make any difference."""
        pairs = (
            (self.is_paused, broadcast.is_paused),
            (self.is_muted, broadcast.is_muted),
            (self.volume, broadcast.volume),
        )
        return any(wanted is not None and wanted != there for wanted, there in pairs)


@dataclass(frozen=True, slots=True)
class Audience:
    """Listeners by target language, without zeros."""

    languages: Mapping[str, int] = field(default_factory=dict)

    @property
    def listener_count(self) -> int:
        """All listeners."""
        return sum(self.languages.values())

    def with_one_more(self, language: str) -> "Audience":
        """The audience once somebody has joined it."""
        return Audience({**self.languages, language: self.languages.get(language, 0) + 1})


@dataclass(frozen=True, slots=True)
class Session:
    """One talk.

    A session is over from `ends_at_ms` on, for `end_reason`. While its speaker is there that is
    `expires_at_ms`; once the speaker is gone it is the end of the grace period. `ended` says that the end was
    carried out and reported, which the sweep does a moment after `ends_at_ms`, or EndSession at once.
    `owner_epoch` counts the connections that have spoken. `revision` grows with every change that others see:
    of two looks at a session the one with the higher number is the later one, whoever took it.
    """

    session_id: str
    speaker_id: str
    speaker_connection_id: str
    settings: Settings
    broadcast: Broadcast
    created_at_ms: int
    expires_at_ms: int
    ends_at_ms: int
    end_reason: str = EndReason.EXPIRED
    ended: bool = False
    owner_epoch: int = 1
    revision: int = field(default=0, compare=False)

    def life(self, now_ms: int) -> Life:
        """Whether the session is on; a late sweep changes nothing about it."""
        return Life.OVER if self.ended or self.ends_at_ms <= now_ms else Life.LIVE


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session with its audience, both of one moment."""

    session: Session
    audience: Audience


@dataclass(frozen=True, slots=True)
class Former:
    """The token by which a seat was taken over from another connection, as `Seat` has its own.

    It is good once more until `until_ms`, as long as the token that was given for it was not used: that may
    have been lost on its way.
    """

    connection_id: str
    token_hash: bytes
    until_ms: int


@dataclass(frozen=True, slots=True)
class Seat:
    """A connection's place in a session.

    `until_ms`: a seat that is taken (`present`) is given up then, and one that was left may be taken again by
    its resume token until then. `token_hash` is bound to session, role and connection. `request_id` is the
    CreateSession request that made the seat. `target_language` is empty for the speaker. `gateway_id` names
    the lease that the connection depends on, if any.
    """

    connection_id: str
    session_id: str
    role: Role
    token_hash: bytes
    until_ms: int
    target_language: str = ""
    request_id: str = ""
    present: bool = True
    gateway_id: str = ""
    former: Former | None = None
