"""Everything that can go wrong on purpose.

BabelcastError
├── InvalidMessage, MissingAction, InvalidAction              the frame is not a message
├── MissingParameter, InvalidParameter, InvalidSessionId,
│   InvalidLanguage, InvalidAudioFormat, InvalidConfiguration,
│   UnsupportedLanguage                                       the message cannot be acted on
├── AudioChunkTooLarge, MessageTooLarge                       the message is too big
├── Unauthorized, TokenExpired                                who are you?
├── UnauthorizedAction, Forbidden                             not with your role, not your session
├── SessionNotFound, SessionEnded, Conflict                   not in this state
├── RateLimitExceeded, MaxSessionsExceeded, SessionFull       too much
├── ServiceUnavailable, CapacityExhausted, Moving             try again later
├── InternalError                                             our fault
└── RemoteError                                               any of these, raised by another service

Domain code raises these; `babelcast.rpc` carries them across gRPC and the gateway shows them to clients.
`details` is shown to the client too, so it never holds secrets or other people's data.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, TypeAlias

from grpc import StatusCode

Detail: TypeAlias = str | int | float | bool | Sequence[str]


class ErrorCode(StrEnum):
    """The codes of the client protocol."""

    MISSING_ACTION = "MISSING_ACTION"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    INVALID_ACTION = "INVALID_ACTION"
    MISSING_PARAMETER = "MISSING_PARAMETER"
    INVALID_PARAMETER = "INVALID_PARAMETER"
    INVALID_SESSION_ID = "INVALID_SESSION_ID"
    INVALID_LANGUAGE = "INVALID_LANGUAGE"
    INVALID_AUDIO_FORMAT = "INVALID_AUDIO_FORMAT"
    INVALID_CONFIGURATION = "INVALID_CONFIGURATION"
    UNSUPPORTED_LANGUAGE = "UNSUPPORTED_LANGUAGE"
    UNAUTHORIZED = "UNAUTHORIZED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - a code, not a secret
    UNAUTHORIZED_ACTION = "UNAUTHORIZED_ACTION"
    FORBIDDEN = "FORBIDDEN"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    CONFLICT = "CONFLICT"
    SESSION_ENDED = "SESSION_ENDED"
    AUDIO_CHUNK_TOO_LARGE = "AUDIO_CHUNK_TOO_LARGE"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    MAX_SESSIONS_EXCEEDED = "MAX_SESSIONS_EXCEEDED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    SESSION_FULL = "SESSION_FULL"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"


class BabelcastError(Exception):
    """A failure that has a name.

    `code` is the protocol's name for it, `status` the gRPC status it travels under, `message` one sentence
    for people, `details` fields for programs (camelCase keys).
    """

    code: ErrorCode = ErrorCode.INTERNAL_ERROR
    status: ClassVar[StatusCode] = StatusCode.INTERNAL

    def __init__(self, message: str, **details: Detail) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Detail] = details


class InvalidMessage(BabelcastError):
    """The frame is not one JSON object, or a text field holds what it must not."""

    code = ErrorCode.INVALID_MESSAGE
    status = StatusCode.INVALID_ARGUMENT


class MissingAction(BabelcastError):
    """The message has no `action`."""

    code = ErrorCode.MISSING_ACTION
    status = StatusCode.INVALID_ARGUMENT

    def __init__(self) -> None:
        super().__init__("The message has no action.")


class InvalidAction(BabelcastError):
    """The message's `action` is not known."""

    code = ErrorCode.INVALID_ACTION
    status = StatusCode.INVALID_ARGUMENT

    def __init__(self, action: str) -> None:
        super().__init__(f"There is no action {action[:64]!r}.")


class MissingParameter(BabelcastError):
    """A required field is absent."""

    code = ErrorCode.MISSING_PARAMETER
    status = StatusCode.INVALID_ARGUMENT

    def __init__(self, parameter: str) -> None:
        super().__init__(f"The field {parameter} is missing.", parameter=parameter)


class InvalidParameter(BabelcastError):
    """A field has the wrong type or is out of range."""

    code = ErrorCode.INVALID_PARAMETER
    status = StatusCode.INVALID_ARGUMENT

    def __init__(self, parameter: str, expected: str) -> None:
        super().__init__(f"The field {parameter} is not valid: {expected}", parameter=parameter)


class InvalidSessionId(BabelcastError):
    """A session id that no session can have."""

    code = ErrorCode.INVALID_SESSION_ID
    status = StatusCode.INVALID_ARGUMENT

    def __init__(self) -> None:
        super().__init__("A session id looks like golden-eagle-427.", parameter="sessionId")


class InvalidLanguage(BabelcastError):
    """Not a language code."""

    code = ErrorCode.INVALID_LANGUAGE
    status = StatusCode.INVALID_ARGUMENT

    def __init__(self, parameter: str) -> None:
        super().__init__(f"{parameter} must be a language code such as en or es.", parameter=parameter)


class InvalidAudioFormat(BabelcastError):
    """Audio that cannot be taken: not base64, odd length, wrong rate, stereo."""

    code = ErrorCode.INVALID_AUDIO_FORMAT
    status = StatusCode.INVALID_ARGUMENT


class InvalidConfiguration(BabelcastError):
    """Settings that contradict each other or the deployment."""

    code = ErrorCode.INVALID_CONFIGURATION
    status = StatusCode.INVALID_ARGUMENT


class UnsupportedLanguage(BabelcastError):
    """A language, or a pair of them, for which no engine is installed."""

    code = ErrorCode.UNSUPPORTED_LANGUAGE
    status = StatusCode.INVALID_ARGUMENT

    def __init__(self, language: str, *, available: Sequence[str], source: str = "") -> None:
        pair = f"{source} into {language}" if source else language
        super().__init__(
            f"{pair} is not available here.", language=language, available=sorted(available), source=source
        )


class Unauthorized(BabelcastError):
    """No token where one is needed, or one that is not good."""

    code = ErrorCode.UNAUTHORIZED
    status = StatusCode.UNAUTHENTICATED


class TokenExpired(BabelcastError):
    """A token that was good once."""

    code = ErrorCode.TOKEN_EXPIRED
    status = StatusCode.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("The token has expired.")


class UnauthorizedAction(BabelcastError):
    """The connection's role may not do this."""

    code = ErrorCode.UNAUTHORIZED_ACTION
    status = StatusCode.PERMISSION_DENIED

    def __init__(self, action: str, role: str) -> None:
        super().__init__(f"A {role} may not {action}.", role=role)


class Forbidden(BabelcastError):
    """The session is somebody else's."""

    code = ErrorCode.FORBIDDEN
    status = StatusCode.PERMISSION_DENIED


class SessionNotFound(BabelcastError):
    """There is no such session, or no more."""

    code = ErrorCode.SESSION_NOT_FOUND
    status = StatusCode.NOT_FOUND

    def __init__(self, session_id: str) -> None:
        super().__init__(f"There is no session {session_id}.", sessionId=session_id)


class SessionEnded(BabelcastError):
    """The session is over."""

    code = ErrorCode.SESSION_ENDED
    status = StatusCode.FAILED_PRECONDITION

    def __init__(self, session_id: str) -> None:
        super().__init__(f"The session {session_id} has ended.", sessionId=session_id)


class Conflict(BabelcastError):
    """The connection already has a role, or the state moved on."""

    code = ErrorCode.CONFLICT
    status = StatusCode.ALREADY_EXISTS


class AudioChunkTooLarge(BabelcastError):
    """An audio chunk above the limit."""

    code = ErrorCode.AUDIO_CHUNK_TOO_LARGE
    status = StatusCode.OUT_OF_RANGE

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__(f"The audio chunk has {size} bytes; the limit is {limit}.", limit=limit)


class MessageTooLarge(BabelcastError):
    """A message above the limit."""

    code = ErrorCode.MESSAGE_TOO_LARGE
    status = StatusCode.OUT_OF_RANGE

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__(f"The message has {size} bytes; the limit is {limit}.", limit=limit)


class RateLimitExceeded(BabelcastError):
    """Too many of something in too little time."""

    code = ErrorCode.RATE_LIMIT_EXCEEDED
    status = StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, what: str, *, retry_after_s: float, **details: Detail) -> None:
        super().__init__(f"Too many {what}.", retryAfter=_seconds(retry_after_s), **details)


class MaxSessionsExceeded(BabelcastError):
    """The speaker has as many sessions as allowed."""

    code = ErrorCode.MAX_SESSIONS_EXCEEDED
    status = StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, *, limit: int, retry_after_s: float) -> None:
        super().__init__("You have too many sessions.", limit=limit, retryAfter=_seconds(retry_after_s))


def _seconds(wait_s: float) -> float:
    """Whole ms, rounded up: who waits that long is served."""
    return math.ceil(round(wait_s * 1000, 6)) / 1000


class SessionFull(BabelcastError):
    """No seat is left."""

    code = ErrorCode.SESSION_FULL
    status = StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, *, limit: int, retry_after_s: float = 30) -> None:
        super().__init__(f"All {limit} seats are taken.", limit=limit, retryAfter=retry_after_s)


class ServiceUnavailable(BabelcastError):
    """A part that is needed cannot be reached or is draining."""

    code = ErrorCode.SERVICE_UNAVAILABLE
    status = StatusCode.UNAVAILABLE

    def __init__(self, message: str, *, retry_after_s: float = 5) -> None:
        super().__init__(message, retryAfter=_seconds(retry_after_s))
        self.retry_after_s = retry_after_s


class CapacityExhausted(ServiceUnavailable):
    """This replica holds all it can serve in real time. Not retried on the same replica."""

    status = StatusCode.RESOURCE_EXHAUSTED


class Moving(ServiceUnavailable):
    """This replica is about to stop, as planned: another one takes the rest at once. No fault, and nothing to
    tell anybody.
    """

    def __init__(self) -> None:
        super().__init__("This replica is about to stop.", retry_after_s=0)
        self.details = {**self.details, "moving": True}


class InternalError(BabelcastError):
    """A fault of ours; the cause is in the log under the correlation id, never in the message."""

    def __init__(self) -> None:
        super().__init__("Something went wrong on our side.")


class RemoteError(BabelcastError):
    """A named failure that another service raised."""

    def __init__(self, code: ErrorCode, message: str, details: Mapping[str, Detail]) -> None:
        super().__init__(message, **details)
        self.code = code


def is_moving(error: BaseException) -> bool:
    """Whether a failure is `Moving`, here or as another service raised it."""
    return isinstance(error, BabelcastError) and error.details.get("moving") is True
