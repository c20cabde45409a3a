"""The session service's configuration."""

from pathlib import Path

import pytest

from babelcast import config
from session_svc.config import SessionConfig, StoreKind, policy
from session_svc.quotas import Quota


def test_the_protocols_defaults() -> None:
    """Without any variable the limits are those of the protocol."""
    limits = policy(config.load(SessionConfig, {}))
    assert (limits.max_listeners, limits.max_streams) == (500, 1)
    assert limits.creates == Quota(50, 3_600_000)
    assert limits.joins == Quota(600, 60_000)
    assert (limits.max_duration_ms, limits.grace_ms, limits.resume_ms) == (7_200_000, 30_000, 120_000)


def test_from_the_environment() -> None:
    """Each variable counts."""
    made = config.load(
        SessionConfig,
        {"DATA_DIR": "/data", "MAX_LISTENERS_PER_SESSION": "3", "SPEAKER_GRACE_SECONDS": "0.5"}
        | {"SESSION_MAX_DURATION_HOURS": "0.5", "GRPC_REFLECTION": "true"},
    )
    assert made.sessions_file == Path("/data/sessions.sqlite3")
    assert made.grpc_reflection
    assert (policy(made).max_listeners, policy(made).grace_ms) == (3, 500)
    assert policy(made).max_duration_ms == 1_800_000


@pytest.mark.parametrize("name", ["MAX_LISTENERS_PER_SESSION", "RATE_LIMIT_SESSIONS_PER_HOUR"])
def test_limits_of_nothing(name: str) -> None:
    """A limit of zero would lock everybody out, so it is refused by name."""
    with pytest.raises(config.ConfigError, match=name):
        config.load(SessionConfig, {name: "0"})


def test_any_number_of_streams() -> None:
    """A speaker may have any number of sessions where that is said; a number has its bounds."""
    name = "MAX_CONCURRENT_STREAMS_PER_SPEAKER"
    assert policy(config.load(SessionConfig, {name: "0"})).max_streams == 0
    assert policy(config.load(SessionConfig, {name: "50"})).max_streams == 50
    for wrong in ("-1", "51"):
        with pytest.raises(config.ConfigError, match=name):
            config.load(SessionConfig, {name: wrong})


def test_the_store_is_a_file_unless_said() -> None:
    """SQLite by default; the tables have the names of the protocol's stack unless they are given others."""
    plain = config.load(SessionConfig, {})
    assert plain.session_store is StoreKind.SQLITE
    names = (plain.sessions_table_name, plain.connections_table_name, plain.rate_limits_table_name)
    assert names == ("Sessions", "Connections", "RateLimits")
    assert config.load(SessionConfig, {"SESSION_STORE": "dynamodb"}).session_store is StoreKind.DYNAMODB
    with pytest.raises(config.ConfigError, match="SESSION_STORE"):
        config.load(SessionConfig, {"SESSION_STORE": "paper"})
