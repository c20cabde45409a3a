"""A server's refusals as the errors of this package."""

from collections.abc import Mapping, Sequence

from babelcast.errors import (
    BabelcastError,
    Detail,
    ErrorCode,
    RateLimitExceeded,
    RemoteError,
    ServiceUnavailable,
    Unauthorized,
)
from babelcast.protocol.server_messages import Error

NORMAL = 1000
POLICY = 1008
FLOODING = 4429
FINAL_CLOSES = frozenset({NORMAL, POLICY, 1002, 1003, 1007, 1009, 1010, FLOODING})
"""Close codes after which coming back would end the same way."""

TRY_AGAIN = frozenset(
    {ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.RATE_LIMIT_EXCEEDED, ErrorCode.INTERNAL_ERROR}
)
"""Refusals that may pass by themselves."""


def from_message(error: Error) -> RemoteError:
    """The exception that an error message stands for."""
    return RemoteError(_code(error.code), error.message, _details(error.details))


def from_upgrade(status: int, body: bytes) -> BabelcastError:
    """The exception for an upgrade refused with an HTTP `status`; the body may say "CODE: message"."""
    code, colon, message = body.decode(errors="replace").strip().partition(": ")
    if colon and code in set(ErrorCode):
        return RemoteError(ErrorCode(code), message, {})
    match status:
        case 401 | 403:
            return Unauthorized("The server does not accept the token.")
        case 429:
            return RateLimitExceeded("connection attempts", retry_after_s=5)
        case 404 | 426 | 400 | 200:
            return ServiceUnavailable(f"There is no Babelcast at this address (HTTP {status}).")
        case _:
            return ServiceUnavailable(f"The server refused the connection (HTTP {status}).")


def from_close(code: int, reason: str) -> BabelcastError | None:
    """The exception for a connection that ended for good; None when it simply is over."""
    said = f": {reason}" if reason else ""
    match code:
        case 1000:
            return None
        case 1008:
            return Unauthorized(f"The server closed the connection{said} ({code}).")
        case 4429:
            return RateLimitExceeded("messages", retry_after_s=5)
        case _:
            return ServiceUnavailable(f"The connection was lost{said} ({code}).")


def _code(text: str) -> ErrorCode:
    try:
        return ErrorCode(text)
    except ValueError:
        return ErrorCode.INTERNAL_ERROR


def _details(details: Mapping[str, object]) -> dict[str, Detail]:
    known: dict[str, Detail] = {}
    for key, value in details.items():
        if isinstance(value, str | int | float | bool):
            known[key] = value
        elif isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
            known[key] = tuple(str(item) for item in value)
    return known
