"""Whose tokens are good, from the environment."""

import pytest

from babelcast import config
from babelcast.auth.config import AuthConfig, Trust, trust

COGNITO = {"COGNITO_USER_POOL_ID": "eu-west-1_abc", "COGNITO_CLIENT_ID": "c1", "AWS_REGION": "eu-west-1"}
OTHER = {"JWT_ISSUER": "https://i.test", "JWT_AUDIENCE": "a", "JWKS_URL": "https://i.test/jwks"}


def made(environ: dict[str, str]) -> Trust | None:
    """The trust of an environment."""
    return trust(config.load(AuthConfig, environ))


def test_cognito() -> None:
    """Issuer and key set follow from pool and region."""
    issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"
    assert made(COGNITO) == Trust(issuer, "c1", f"{issuer}/.well-known/jwks.json", token_use_required=True)


def test_another_issuer() -> None:
    """Any issuer with a key set will do."""
    assert made(OTHER) == Trust("https://i.test", "a", "https://i.test/jwks")
    assert made(OTHER | {"AWS_REGION": "eu-west-1"}) == made(OTHER)


def test_nothing_configured() -> None:
    """Without an issuer the local one is to be used; a region alone is not an issuer."""
    assert made({}) is None
    assert made({"AWS_REGION": "eu-west-1"}) is None


@pytest.mark.parametrize("missing", [*COGNITO, *OTHER])
def test_half_a_configuration(missing: str) -> None:
    """A forgotten variable is named rather than everybody's tokens refused, or let in."""
    environ = dict(COGNITO if missing in COGNITO else OTHER)
    del environ[missing]
    with pytest.raises(config.ConfigError, match=missing):
        made(environ)


def test_two_configurations() -> None:
    """Which of two issuers is meant cannot be guessed."""
    with pytest.raises(config.ConfigError):
        made(COGNITO | OTHER)
