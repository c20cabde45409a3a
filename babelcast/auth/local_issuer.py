"""The development issuer: speakers without an account anywhere.

Its key lives in the data directory, readable by its owner alone. Its tokens are checked through the JWKS that
the gateway serves, on the same path as Cognito's.
"""

import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.utils import base64url_encode, to_base64url_uint

from babelcast.auth.config import Trust
from babelcast.auth.jwks import Clock
from babelcast.auth.verifier import ALGORITHM
from babelcast.errors import ServiceUnavailable

ISSUER = "urn:babelcast:local"
AUDIENCE = "babelcast"
KEY_FILE = "issuer-key.pem"
JWKS_PATH = "/.well-known/jwks.json"
KEY_BITS = 2048
DEFAULT_LIFETIME_S = 12 * 3600.0


class LocalIssuer:
    """Mints tokens and shows the key to check them with."""

    def __init__(self, key: rsa.RSAPrivateKey, *, clock: Clock = time.time) -> None:
        self._key = key
        self._clock = clock
        numbers = key.public_key().public_numbers()
        self._modulus = to_base64url_uint(numbers.n).decode()
        self._exponent = to_base64url_uint(numbers.e).decode()
        self.kid = _thumbprint(self._modulus, self._exponent)

    @classmethod
    def open(cls, data_dir: Path, *, clock: Clock = time.time) -> Self:
        """The issuer of a data directory; its key is made on first use, once, whoever else is starting.

        Blocks for up to a second, when the key is made.

        Raises: ServiceUnavailable when the key file is not usable; OSError.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        path = data_dir / KEY_FILE
        with _locked(data_dir / f"{KEY_FILE}.lock"):
            if not path.exists():
                _write_new_key(path)
        path.chmod(0o600)
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise ServiceUnavailable(f"{KEY_FILE} holds no key; delete it to have one made.") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ServiceUnavailable(f"{KEY_FILE} holds no RSA key; delete it to have one made.")
        return cls(key, clock=clock)

    def mint(
        self, subject: str, *, lifetime_s: float = DEFAULT_LIFETIME_S, groups: Sequence[str] = ()
    ) -> str:
        """A token that says its bearer is `subject` and in these groups, good for `lifetime_s` from now."""
        now_s = self._clock()
        claims: dict[str, object] = {
            "iss": ISSUER,
            "sub": subject,
            "aud": AUDIENCE,
            "client_id": AUDIENCE,
            "token_use": "access",
            "iat": int(now_s),
            "exp": now_s + lifetime_s,
            "jti": str(uuid.uuid4()),
        }
        if groups:
            claims["groups"] = list(groups)
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self.kid})

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The key set, as served at `JWKS_PATH`."""
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": ALGORITHM,
            "kid": self.kid,
            "n": self._modulus,
            "e": self._exponent,
        }
        return {"keys": [key]}


def local_trust(jwks_url: str) -> Trust:
    """What tokens of the local issuer look like, its keys being at `jwks_url`."""
    return Trust(issuer=ISSUER, audience=AUDIENCE, jwks_url=jwks_url, token_use_required=True)


def _thumbprint(modulus: str, exponent: str) -> str:
    """RFC 7638: the same key has the same id in every process."""
    members = msgspec.json.encode({"e": exponent, "kty": "RSA", "n": modulus})
    return base64url_encode(hashlib.sha256(members).digest()).decode()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among processes and threads. The lock file stays: removing it would open a race."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_new_key(path: Path) -> None:
    """Make a key and put it in place whole; call under the lock."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)  # one that a crash left, perhaps with other permissions
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
