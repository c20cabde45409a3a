"""AWS Signature Version 4 as a server checks it: on a request, and on each chunk that follows it.

Written from AWS's documents and not from the client under test.
"""

import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.amazon.eventstream import Frame

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_LONGEST_SKEW_S = 300
_NEEDED = {"host", "x-amz-date"}


class BadSignature(Exception):
    """The signature, or what it needs, is not right; `code` is AWS's name for it."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class Account:
    """Somebody who may call."""

    access_key_id: str = "AKIDTEST"
    secret_access_key: str = "very-secret"
    session_token: str | None = None


@dataclass
class ChunkVerifier:
    """Checks the chain of signatures of one stream."""

    key: bytes
    scope: str
    prior: str

    def check(self, frame: Frame) -> None:
        """Check the next frame. Raises: BadSignature."""
        date_ms, signature = frame.headers.get(":date"), frame.headers.get(":chunk-signature")
        if not isinstance(date_ms, int) or not isinstance(signature, bytes):
            raise BadSignature("BadRequestException", "a chunk is not signed")
        moment = datetime.fromtimestamp(date_ms / 1000, UTC)
        _check_skew(moment)
        raw_date = frame.raw_headers[: 1 + len(":date") + 1 + 8]
        to_sign = "\n".join(
            (
                f"{_ALGORITHM}-PAYLOAD",
                moment.strftime("%Y%m%dT%H%M%SZ"),
                self.scope,
                self.prior,
                hashlib.sha256(raw_date).hexdigest(),
                hashlib.sha256(frame.payload).hexdigest(),
            )
        )
        if not hmac.compare_digest(_hmac(self.key, to_sign), signature):
            raise BadSignature("BadRequestException", "a chunk's signature is wrong")
        self.prior = signature.hex()


def check_request(
    method: str, path: str, headers: Mapping[str, str], *, accounts: Mapping[str, Account], region: str
) -> ChunkVerifier:
    """Check a request; returns what checks its chunks. Raises: BadSignature."""
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise BadSignature("MissingAuthenticationTokenException", "there is no signature")
    account = accounts.get(found["key"])
    if account is None:
        raise BadSignature("UnrecognizedClientException", "the key is not known")
    if account.session_token != headers.get("x-amz-security-token"):
        raise BadSignature("UnrecognizedClientException", "the token is not valid")
    stamp = headers.get("x-amz-date", "")
    moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    _check_skew(moment)
    if found["scope"] != f"{stamp[:8]}/{region}/transcribe/aws4_request":
        raise BadSignature("InvalidSignatureException", "the scope is wrong")
    signed = found["signed"].split(";")
    meaning = {name for name in headers if name.startswith(("x-amz-", "x-amzn-"))}
    if not (_NEEDED | meaning) <= set(signed):
        raise BadSignature("InvalidSignatureException", "a header is not signed")
    key = _signing_key(account.secret_access_key, found["scope"])
    url = urllib.parse.urlsplit(path)
    canonical = "\n".join(
        (
            method,
            urllib.parse.quote(url.path),
            url.query,
            *(f"{name}:{' '.join(headers[name].split())}" for name in signed),
            "",
            found["signed"],
            headers.get("x-amz-content-sha256", hashlib.sha256(b"").hexdigest()),
        )
    )
    to_sign = "\n".join((_ALGORITHM, stamp, found["scope"], hashlib.sha256(canonical.encode()).hexdigest()))
    if not hmac.compare_digest(_hmac(key, to_sign).hex(), found["signature"]):
        raise BadSignature("InvalidSignatureException", "the signature is wrong")
    return ChunkVerifier(key, found["scope"], found["signature"])


def _check_skew(moment: datetime) -> None:
    if abs((datetime.now(UTC) - moment).total_seconds()) > _LONGEST_SKEW_S:
        raise BadSignature("InvalidSignatureException", "the signature has expired")


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
