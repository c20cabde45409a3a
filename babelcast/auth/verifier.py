"""Who is speaking: the one place that decides whether a token is good (RFC 7519, RS256 only).

What is raised never holds the token or a part of it, and chains no exception that could.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from babelcast.auth.config import Trust
from babelcast.auth.jwks import Clock, Freshness, Jwks
from babelcast.errors import TokenExpired, Unauthorized

ALGORITHM = "RS256"
TOKEN_USES = frozenset({"access", "id"})
MAX_TOKEN_CHARS = 8192
MAX_SUBJECT_CHARS = 128
# how far the issuer's clock may be ahead of ours
NOT_BEFORE_LEEWAY_S = 30.0


@dataclass(frozen=True, slots=True)
class Speaker:
    """Somebody whose token was good: its `sub`, when it expires in s since the Unix epoch, and the groups and
    scopes that it names.
    """

    subject: str
    expires_at_s: float
    groups: frozenset[str] = frozenset()


class Header(msgspec.Struct):
    """What is read of a token's header."""

    alg: str
    kid: str = ""


class Claims(msgspec.Struct):
    """What is read of a token; times in s since the Unix epoch."""

    iss: str
    sub: str
    exp: float
    nbf: float = 0.0
    aud: str | list[str] = []
    client_id: str = ""
    token_use: str = ""
    # Of any shape: who is in no group that we know is a speaker all the same.
    cognito_groups: object = msgspec.field(default=None, name="cognito:groups")
    groups: object = None
    scope: object = None


def admitted(claims: Claims, trust: Trust, *, now_s: float) -> Speaker:
    """The speaker that a properly signed token names.

    Raises: Unauthorized, TokenExpired.
    """
    if claims.iss != trust.issuer:
        raise _refused("issuer")
    if (claims.token_use or trust.token_use_required) and claims.token_use not in TOKEN_USES:
        raise _refused("token_use")
    if not _is_for(claims, trust.audience):
        raise _refused("audience")
    if not claims.sub or len(claims.sub) > MAX_SUBJECT_CHARS:
        raise _refused("subject")
    if claims.nbf > now_s + NOT_BEFORE_LEEWAY_S:
        raise _refused("not_yet_valid")
    if claims.exp <= now_s:
        raise TokenExpired
    groups = _names(claims.cognito_groups) | _names(claims.groups) | _names(claims.scope)
    return Speaker(claims.sub, claims.exp, groups)


class TokenVerifier:
    """Checks tokens against an issuer's keys."""

    def __init__(self, trust: Trust, jwks: Jwks, *, clock: Clock = time.time) -> None:
        self._trust = trust
        self._jwks = jwks
        self._clock = clock

    async def verify(self, token: str) -> Speaker:
        """Who the token says is speaking.

        Raises: Unauthorized, TokenExpired; ServiceUnavailable when the issuer's keys cannot be had.
        """
        kid = _key_id(token)
        key = await self._jwks.key(kid)
        if key is None:
            raise _refused("key")
        return admitted(_signed_claims(token, key), self._trust, now_s=self._clock())


@asynccontextmanager
async def open_verifier(
    trust: Trust, *, freshness: Freshness | None = None, own: bool = False
) -> AsyncIterator[TokenVerifier]:
    """A verifier that fetches its issuer's keys over HTTP when it first needs them. `own` says that they are
    at a port of this very process, whose certificate is for other names than its loopback address.
    """
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=not own)) as http:
        yield TokenVerifier(trust, Jwks(trust.jwks_url, http, freshness=freshness))


def _key_id(token: str) -> str:
    """The id of the key that is said to have signed."""
    if not token.isascii() or len(token) > MAX_TOKEN_CHARS:
        raise _refused("format")
    try:
        header = msgspec.convert(jwt.get_unverified_header(token), Header)
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        raise _refused("format") from None
    if header.alg != ALGORITHM:
        raise _refused("algorithm")
    if not header.kid:
        raise _refused("key")
    return header.kid


def _signed_claims(token: str, key: RSAPublicKey) -> Claims:
    try:
        payload = jwt.PyJWS(algorithms=[ALGORITHM]).decode(token, key, algorithms=[ALGORITHM])
    except jwt.InvalidTokenError:
        raise _refused("signature") from None
    try:
        return msgspec.json.decode(payload, type=Claims)
    except msgspec.DecodeError:
        raise _refused("claims") from None


def _is_for(claims: Claims, audience: str) -> bool:
    """Whether the token is for us; Cognito's access tokens name a client id, id tokens an audience."""
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if claims.token_use == "id":  # noqa: S105 - a kind of token, not a secret
        return audience in audiences
    return audience in audiences or claims.client_id == audience


def _names(claim: object) -> frozenset[str]:
    """The names in a claim that is a list of them, or a text with spaces between them (RFC 8693, 4.2)."""
    if isinstance(claim, str):
        return frozenset(claim.split())
    return (
        frozenset(name for name in claim if isinstance(name, str)) if isinstance(claim, list) else frozenset()
    )


def _refused(reason: str) -> Unauthorized:
    return Unauthorized("The token is not good.", reason=reason)
