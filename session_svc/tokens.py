"""Resume tokens: secrets with which a client takes its seat again on another connection.

A token is "<connection>.<secret>", the secret 32 random bytes. Only a hash is stored; it covers session, role
and connection, so a token is good for exactly one seat. Every use replaces it. The token before it is good
again only for a while, and only until the new one is used: the answer that brought the new one may be lost.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from session_svc.model import Role, Seat

SECRET_BYTES = 32
MAX_TOKEN_CHARS = 512

RandomBytes: TypeAlias = Callable[[int], bytes]
"""A source of randomness: that many unguessable bytes (`secrets.token_bytes`)."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token for the client and the hash for the store."""

    text: str
    token_hash: bytes


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A token as a client sent it, not yet checked."""

    connection_id: str
    secret: str


def issue(session_id: str, role: Role, connection_id: str, random_bytes: RandomBytes) -> IssuedToken:
    """A fresh token for a seat."""
    secret = base64.urlsafe_b64encode(random_bytes(SECRET_BYTES)).rstrip(b"=").decode()
    return IssuedToken(f"{connection_id}.{secret}", _hash(session_id, role, connection_id, secret))


def parse(text: str) -> PresentedToken | None:
    """Take a token apart; None when it cannot be one."""
    connection_id, dot, secret = text.rpartition(".")
    if not dot or not connection_id or not secret or len(text) > MAX_TOKEN_CHARS:
        return None
    return PresentedToken(connection_id, secret)


def fits(token: PresentedToken, session_id: str, seat: Seat) -> bool:
    """Whether the token is the seat's and the seat is in that session; takes the same time either way."""
    presented = _hash(session_id, seat.role, token.connection_id, token.secret)
    return hmac.compare_digest(presented, seat.token_hash)


def fits_former(token: PresentedToken, session_id: str, seat: Seat, *, now_ms: int) -> bool:
    """Whether the seat was taken over by the token, not long ago; takes the same time either way."""
    presented = _hash(session_id, seat.role, token.connection_id, token.secret)
    former = seat.former
    if former is None or former.connection_id != token.connection_id or former.until_ms <= now_ms:
        return False
    return hmac.compare_digest(presented, former.token_hash)


def _hash(session_id: str, role: Role, connection_id: str, secret: str) -> bytes:
    parts = (session_id, role.value, connection_id, secret)
    return hashlib.sha256(b"".join(len(part).to_bytes(4) + part.encode() for part in parts)).digest()
