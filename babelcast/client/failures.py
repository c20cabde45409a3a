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

COME_BACK = TRY_AGAIN | {ErrorCode.CONFLICT}
"""Refusals to let somebody come back that may pass by themselves: a session may change at that moment."""

CONNECT_AGAIN_S = 5.0


def retry_after_s(error: BabelcastError) -> float:
    """How long the server asked to wait, in s; 0.0 when it did not ask."""
    if not isinstance(error, RemoteError | RateLimitExceeded):
        return 0.0  # made here: nobody asked
    wait_s = error.details.get("retryAfter")
    return max(0.0, float(wait_s)) if isinstance(wait_s, int | float) else 0.0


def from_message(error: Error) -> RemoteError:
    """The exception that an error message stands for."""
    return RemoteError(_code(error.code), error.message, _details(error.details))


def from_upgrade(status: int, body: bytes, *, retry_after: str = "") -> BabelcastError:
    """The exception for an upgrade refused with an HTTP `status`; the body may say "CODE: message", and the
    header `Retry-After` how many seconds to wait.
    """
    wait: dict[str, Detail] = {"retryAfter": int(retry_after)} if retry_after.isdecimal() else {}
    code, colon, message = body.decode(errors="replace").strip().partition(": ")
    if colon and code in set(ErrorCode):
        return RemoteError(ErrorCode(code), message, wait)
    match status:
        case 401 | 403:
            return Unauthorized("The server does not accept the token.")
        case 429:
            wait_s = float(retry_after) if wait else CONNECT_AGAIN_S
            return RateLimitExceeded("connection attempts", retry_after_s=wait_s)
        case 503 if wait:
            return RemoteError(ErrorCode.SERVICE_UNAVAILABLE, "The server takes nobody at the moment.", wait)
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
            return RateLimitExceeded("messages", retry_after_s=CONNECT_AGAIN_S)
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
