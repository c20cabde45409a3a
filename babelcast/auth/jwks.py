"""An issuer's public keys, fetched without blocking and kept (RFC 7517, RFC 7518 section 6.3.1)."""

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from babelcast.errors import ServiceUnavailable

MAX_DOCUMENT_BYTES = 256 * 1024
MIN_KEY_BITS = 2048

log = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], float]
"""A clock in s."""

Keys: TypeAlias = Mapping[str, RSAPublicKey]
"""Keys by their id."""


class KeySetInvalid(Exception):
    """What the issuer sent is no key set."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long keys are good, how often the issuer may be asked, how long it may take; all in s."""

    ttl_s: float = 3600.0
    floor_s: float = 10.0
    timeout_s: float = 5.0


class _Jwk(msgspec.Struct):
    kty: str
    kid: str | None = None
    use: str | None = None
    alg: str | None = None
    n: str = ""
    e: str = ""


class _Document(msgspec.Struct):
    keys: list[_Jwk]


def parse(document: bytes) -> Keys:
    """The RS256 signing keys of a key set; others are passed over.

    Raises: KeySetInvalid.
    """
    try:
        keys = msgspec.json.decode(document, type=_Document).keys
    except msgspec.DecodeError as error:
        raise KeySetInvalid("not a key set") from error
    return {key.kid: public for key in keys if key.kid and (public := _signing_key(key)) is not None}


class Jwks:
    """The keys behind a URL.

    Keys are fetched when they are first needed, when they are older than `ttl_s`, and once for a key id that
    is not among them; but no more often than every `floor_s`, however many ask. While the issuer cannot be
    reached, the keys last seen go on being good.
    """

    def __init__(
        self,
        url: str,
        http: aiohttp.ClientSession,
        *,
        freshness: Freshness | None = None,
        monotonic: Clock = time.monotonic,
    ) -> None:
        self._url = url
        self._http = http
        self._freshness = freshness or Freshness()
        self._monotonic = monotonic
        self._keys: Keys | None = None
        self._fetched_at = 0.0
        self._asked_at: float | None = None
        self._reachable = False
        self._fetching = asyncio.Lock()

    async def key(self, kid: str) -> RSAPublicKey | None:
        """The key of that id; None when the issuer has no such key.

        Raises: ServiceUnavailable when the issuer cannot be asked and has not told of such a key before.
        """
        known = self._keys is not None and kid in self._keys
        if not self._fresh_with(kid) and not (known and self._fetching.locked()):
            async with self._fetching:  # whoever waited here finds what the one before has fetched
                if not self._fresh_with(kid) and self._may_ask():
                    await self._fetch()
        found = None if self._keys is None else self._keys.get(kid)
        if found is None and not self._reachable:
            raise ServiceUnavailable(
                "Who you are cannot be checked right now.", retry_after_s=self._next_ask_s()
            )
        return found

    def _fresh_with(self, kid: str) -> bool:
        age_s = self._monotonic() - self._fetched_at
        return self._keys is not None and kid in self._keys and age_s < self._freshness.ttl_s

    def _may_ask(self) -> bool:
        now = self._monotonic()
        if self._asked_at is not None and now - self._asked_at < self._freshness.floor_s:
            return False
        self._asked_at = now
        return True

    def _next_ask_s(self) -> float:
        """When the issuer may be asked again."""
        asked_at = self._monotonic() if self._asked_at is None else self._asked_at
        return max(0.0, asked_at + self._freshness.floor_s - self._monotonic())

    async def _fetch(self) -> None:
        try:
            self._keys = parse(await self._document())
        except (aiohttp.ClientError, TimeoutError, KeySetInvalid, OSError) as error:
            self._reachable = False
            log.warning(
                "the issuer's keys cannot be fetched", extra={"url": self._url, "cause": type(error).__name__}
            )
        else:
            self._reachable = True
            self._fetched_at = self._monotonic()

    async def _document(self) -> bytes:
        async with asyncio.timeout(self._freshness.timeout_s):
            async with self._http.get(self._url, allow_redirects=False) as response:
                if response.status != 200:  # noqa: PLR2004 - the one status that brings keys
                    raise KeySetInvalid(f"status {response.status}")
                body = bytearray()
                async for piece in response.content.iter_chunked(16 * 1024):
                    body += piece
                    if len(body) > MAX_DOCUMENT_BYTES:
                        raise KeySetInvalid("too large")
                return bytes(body)


def _signing_key(key: _Jwk) -> RSAPublicKey | None:
    """The key if it is one for RS256 signatures, and sound."""
    if key.kty != "RSA" or key.use not in {None, "sig"} or key.alg not in {None, "RS256"}:
        return None
    try:
        public = RSAPublicNumbers(e=_integer(key.e), n=_integer(key.n)).public_key()
    except ValueError:  # binascii.Error is one
        return None
    return public if public.key_size >= MIN_KEY_BITS else None


def _integer(text: str) -> int:
    return int.from_bytes(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
