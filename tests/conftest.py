"""What every test shares: how Hypothesis works here, and the recorded speech."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.amazon.fixtures",
    "tests.aws_local",
    "tests.dynamodb_local",
    "tests.measured",
    "tests.nats_server",
]

# No deadline: the machine may be busy with other tests. Examples follow from the test itself, so that every
# run says the same; look further with --hypothesis-profile=search.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile(
    "search", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def jfk_wav() -> Path:
    """Eleven seconds of English speech in the public domain, 16 kHz mono."""
    return Path(__file__).parent / "data" / "jfk.wav"
