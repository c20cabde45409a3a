"""An issuer with real keys, served over real HTTP on any free port."""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import jwt
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://issuer.test/pool"
AUDIENCE = "client-1"


def b64(value: int) -> str:
    """An integer as a JWK holds it."""
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()


@dataclass
class Issuer:
    """Signs with `keys`, publishes those in `published`, and can be down or slow or wrong."""

    keys: dict[str, rsa.RSAPrivateKey]
    published: list[str] = field(default_factory=list)
    url: str = ""
    status: int = 200
    body: bytes | None = None
    hits: int = 0

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The key set."""
        made = []
        for kid in self.published:
            numbers = self.keys[kid].public_key().public_numbers()
            made.append(
                {
                    "kty": "RSA",
                    "kid": kid,
                    "use": "sig",
                    "alg": "RS256",
                    "n": b64(numbers.n),
                    "e": b64(numbers.e),
                }
            )
        return {"keys": made}

    def token(
        self,
        kid: str = "k1",
        *,
        headers: Mapping[str, object] | None = None,
        without: tuple[str, ...] = (),
        **claims: object,
    ) -> str:
        """A token that is good but for what the arguments change."""
        return self.token_of(claims, kid, headers=headers, without=without)

    def token_of(
        self,
        claims: Mapping[str, object],
        kid: str = "k1",
        *,
        headers: Mapping[str, object] | None = None,
        without: tuple[str, ...] = (),
    ) -> str:
        """The same, with the claims in a mapping."""
        now = time.time()
        whole: dict[str, object] = {
            "iss": ISSUER,
            "sub": "speaker-1",
            "aud": AUDIENCE,
            "token_use": "access",
            "iat": int(now),
            "exp": int(now) + 300,
            **claims,
        }
        for claim in without:
            del whole[claim]
        return jwt.encode(whole, self.keys[kid], algorithm="RS256", headers={"kid": kid, **(headers or {})})

    async def answer(self, request: web.Request) -> web.Response:
        """Serve the key set, or what a test wants in its place."""
        self.hits += 1
        body = msgspec.json.encode(self.jwks()) if self.body is None else self.body
        return web.Response(status=self.status, body=body, content_type="application/json")


@dataclass
class FakeClock:
    """A clock that goes when told."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now
