"""How `babelcast serve` configures the record of sessions."""

import pytest

from babelcast.config import ConfigError
from cli.compose import record_config

LIMIT = "MAX_CONCURRENT_STREAMS_PER_SPEAKER"


@pytest.mark.parametrize(
    ("environ", "own_issuer", "limit"),
    [
        ({}, True, 0),
        ({}, False, 1),
        ({LIMIT: "2"}, True, 2),
        ({LIMIT: "2"}, False, 2),
        ({LIMIT: ""}, True, 0),
    ],
)
def test_sessions_of_a_subject(environ: dict[str, str], own_issuer: bool, limit: int) -> None:
    """Tokens of the own issuer share a subject, so its sessions are not limited unless that is asked for."""
    made = record_config(environ, data_dir="/data", own_issuer=own_issuer)
    assert made.max_concurrent_streams_per_speaker == limit
    assert made.data_dir == "/data"


def test_a_wrong_limit() -> None:
    """A limit that makes no sense is named."""
    with pytest.raises(ConfigError, match=LIMIT):
        record_config({LIMIT: "many"}, data_dir="/data", own_issuer=True)
