"""Whose tokens are good: Cognito's, another issuer's, or the local development issuer's."""

from dataclasses import dataclass

from babelcast.config import ConfigError, setting

OPERATOR_GROUP = "babelcast-operators"
"""The group that operators' tokens name, unless another is configured."""


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """The issuer of speakers' tokens. With nothing set, the local development issuer's are good."""

    cognito_user_pool_id: str = setting("", "Cognito user pool of the speakers")
    cognito_client_id: str = setting("", "Cognito app client whose tokens are good")
    aws_region: str = setting("", "region of the user pool")
    jwt_issuer: str = setting("", "issuer of speakers' tokens, when it is not Cognito")
    jwt_audience: str = setting("", "audience or client id that tokens must be for")
    jwks_url: str = setting("", "where the issuer publishes its keys")


@dataclass(frozen=True, slots=True)
class Trust:
    """What a good token looks like, and where its keys are.

    `token_use_required`: the token must say that it is an access or an id token, as Cognito's do.
    """

    issuer: str
    audience: str
    jwks_url: str
    token_use_required: bool = False


def trust(config: AuthConfig) -> Trust | None:
    """The configured issuer; None when there is none, so that the local one is to be used.

    Raises: ConfigError when both kinds are configured, or one of them in part.
    """
    cognito = {
        "COGNITO_USER_POOL_ID": config.cognito_user_pool_id,
        "COGNITO_CLIENT_ID": config.cognito_client_id,
    }
    other = {
        "JWT_ISSUER": config.jwt_issuer,
        "JWT_AUDIENCE": config.jwt_audience,
        "JWKS_URL": config.jwks_url,
    }
    if any(cognito.values()) and any(other.values()):
        raise ConfigError("set the COGNITO_ variables, or JWT_ISSUER, JWT_AUDIENCE and JWKS_URL, not both")
    if any(cognito.values()):
        # the region alone says nothing: AWS's other services are configured by it too
        _require_all(cognito | {"AWS_REGION": config.aws_region})
        issuer = f"https://cognito-idp.{config.aws_region}.amazonaws.com/{config.cognito_user_pool_id}"
        return Trust(
            issuer=issuer,
            audience=config.cognito_client_id,
            jwks_url=f"{issuer}/.well-known/jwks.json",
            token_use_required=True,
        )
    if any(other.values()):
        _require_all(other)
        return Trust(issuer=config.jwt_issuer, audience=config.jwt_audience, jwks_url=config.jwks_url)
    return None


def _require_all(variables: dict[str, str]) -> None:
    missing = [name for name, value in variables.items() if not value]
    if missing:
        raise ConfigError(f"{', '.join(missing)} must be set too")
