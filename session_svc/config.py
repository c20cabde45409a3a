"""The session service's configuration, read from the environment by `__main__`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from babelcast.config import setting
from session_svc.quotas import Quota

_MS_PER_MINUTE = 60_000
_MS_PER_HOUR = 3_600_000
MOST_STREAMS = 50
"""As many sessions of a speaker as one transaction of any store can look at."""

Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]


class StoreKind(StrEnum):
    """Where the record of sessions is kept."""

    SQLITE = "sqlite"
    DYNAMODB = "dynamodb"


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Where to listen, where to keep things, and the limits of the protocol."""

    session_bind: str = setting("127.0.0.1:50051", "address and port of the session service's gRPC server")
    data_dir: str = setting("var", "directory of the SQLite file")
    session_store: StoreKind = setting(
        StoreKind.SQLITE, "where sessions are kept: sqlite (a file, one replica) or dynamodb (any number)"
    )
    sessions_table_name: str = setting("Sessions", "DynamoDB table of the sessions")
    connections_table_name: str = setting("Connections", "DynamoDB table of the connections")
    rate_limits_table_name: str = setting("RateLimits", "DynamoDB table of the rate limits")
    rate_limit_address_key: str = setting(
        "",
        "secret that hides listeners' addresses in the record, one for all replicas; random when empty",
    )
    aws_region: str = setting("", "region of the DynamoDB tables; when empty, as boto finds it")
    grpc_reflection: bool = setting(default=False, description="whether gRPC reflection is on")
    drain_seconds: Seconds = setting(30, "Longest time to let sentences finish when stopping, s.")
    max_listeners_per_session: Positive = setting(500, "seats of a session")
    max_concurrent_streams_per_speaker: Annotated[int, Meta(ge=0, le=MOST_STREAMS)] = setting(
        1, "sessions a speaker, that is a token's subject, may have at once; 0: any number"
    )
    rate_limit_sessions_per_hour: Positive = setting(50, "sessions a speaker may create per hour")
    rate_limit_listener_joins_per_min: Positive = setting(600, "joins per minute from one address")
    session_max_duration_hours: Annotated[float, Meta(gt=0)] = setting(
        2.0, "how long a session lasts unless its speaker refreshes, h"
    )
    speaker_grace_seconds: Seconds = setting(30.0, "how long a session waits for a speaker who dropped, s")
    resume_window_seconds: Seconds = setting(120.0, "how long a listener's seat can be resumed, s")
    gateway_lease_seconds: Annotated[float, Meta(ge=3)] = setting(
        30.0, "how long a gateway may say nothing before its connections count as gone, s"
    )
    session_ended_seconds: Seconds = setting(600.0, "how long an ended session is remembered as such, s")

    @property
    def sessions_file(self) -> Path:
        """The SQLite file."""
        return Path(self.data_dir) / "sessions.sqlite3"


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits as the rules use them; times in ms."""

    max_listeners: int
    max_streams: int
    creates: Quota
    joins: Quota
    max_duration_ms: int
    grace_ms: int
    resume_ms: int
    remember_ms: int
    lease_ms: int


def policy(config: SessionConfig) -> Policy:
    """The limits of a configuration."""
    return Policy(
        max_listeners=config.max_listeners_per_session,
        max_streams=config.max_concurrent_streams_per_speaker,
        creates=Quota(config.rate_limit_sessions_per_hour, _MS_PER_HOUR),
        joins=Quota(config.rate_limit_listener_joins_per_min, _MS_PER_MINUTE),
        max_duration_ms=round(config.session_max_duration_hours * _MS_PER_HOUR),
        grace_ms=round(config.speaker_grace_seconds * 1000),
        resume_ms=round(config.resume_window_seconds * 1000),
        remember_ms=round(config.session_ended_seconds * 1000),
        lease_ms=round(config.gateway_lease_seconds * 1000),
    )
