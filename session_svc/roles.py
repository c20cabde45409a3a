"""Who may do what in which state: one table, for the code and for the documentation.

A session that is not there, or is over, answers so to everybody. For one that is live, the caller's standing
decides. None means that it may.
"""

from collections.abc import Mapping
from enum import StrEnum

from babelcast.errors import (
    BabelcastError,
    Conflict,
    ErrorCode,
    Forbidden,
    SessionEnded,
    SessionNotFound,
    UnauthorizedAction,
)
from session_svc.model import Life, Role, Seat


class Action(StrEnum):
    """What a connection may ask for, worded to follow "may not"."""

    CREATE = "create a session"
    JOIN = "join a session"
    REFRESH = "take a seat over"
    GET = "see a session"
    CHANGE_LANGUAGE = "change the language"
    UPDATE_BROADCAST = "control the broadcast"
    END = "end the session"


class Standing(StrEnum):
    """What a connection is, seen from the session concerned."""

    STRANGER = "stranger"
    OWNER = "speaker"
    LISTENER = "listener"
    OTHER_SPEAKER = "speaker of another session"
    OTHER_LISTENER = "listener of another session"


_SEATED_NOWHERE: Mapping[Standing, ErrorCode | None] = {
    Standing.STRANGER: None,
    Standing.OWNER: ErrorCode.CONFLICT,
    Standing.LISTENER: ErrorCode.CONFLICT,
    Standing.OTHER_SPEAKER: ErrorCode.CONFLICT,
    Standing.OTHER_LISTENER: ErrorCode.CONFLICT,
}
_OWNER_ONLY: Mapping[Standing, ErrorCode | None] = {
    Standing.STRANGER: ErrorCode.FORBIDDEN,
    Standing.OWNER: None,
    Standing.LISTENER: ErrorCode.UNAUTHORIZED_ACTION,
    Standing.OTHER_SPEAKER: ErrorCode.FORBIDDEN,
    Standing.OTHER_LISTENER: ErrorCode.UNAUTHORIZED_ACTION,
}
_LISTENER_ONLY: Mapping[Standing, ErrorCode | None] = {
    Standing.STRANGER: ErrorCode.UNAUTHORIZED_ACTION,
    Standing.OWNER: ErrorCode.UNAUTHORIZED_ACTION,
    Standing.LISTENER: None,
    Standing.OTHER_SPEAKER: ErrorCode.UNAUTHORIZED_ACTION,
    Standing.OTHER_LISTENER: ErrorCode.FORBIDDEN,
}
_ANYBODY: Mapping[Standing, ErrorCode | None] = dict.fromkeys(Standing)

TABLE: Mapping[Action, Mapping[Standing, ErrorCode | None]] = {
    Action.CREATE: _SEATED_NOWHERE,
    Action.JOIN: _SEATED_NOWHERE,  # a listener who repeats a join is answered before this is asked
    Action.REFRESH: _SEATED_NOWHERE,
    Action.GET: _ANYBODY,
    Action.CHANGE_LANGUAGE: _LISTENER_ONLY,
    Action.UPDATE_BROADCAST: _OWNER_ONLY,
    Action.END: _OWNER_ONLY,
}


def standing(session_id: str, seat: Seat | None) -> Standing:
    """What a connection with this seat is to the session. `seat` must count (present, in a live session)."""
    if seat is None:
        return Standing.STRANGER
    here = seat.session_id == session_id
    if seat.role is Role.SPEAKER:
        return Standing.OWNER if here else Standing.OTHER_SPEAKER
    return Standing.LISTENER if here else Standing.OTHER_LISTENER


def rule(action: Action, who: Standing, life: Life) -> ErrorCode | None:
    """The answer to an action on a session in that state; None when it may be done."""
    if action is not Action.CREATE:
        if life is Life.ABSENT:
            return ErrorCode.SESSION_NOT_FOUND
        if life is Life.OVER:
            return ErrorCode.SESSION_ENDED
    return TABLE[action][who]


def refusal(code: ErrorCode, action: Action, who: Standing, session_id: str) -> BabelcastError:
    """The error to raise for what `rule` said."""
    match code:
        case ErrorCode.SESSION_NOT_FOUND:
            return SessionNotFound(session_id)
        case ErrorCode.SESSION_ENDED:
            return SessionEnded(session_id)
        case ErrorCode.UNAUTHORIZED_ACTION:
            return UnauthorizedAction(action.value, who.value)
        case ErrorCode.FORBIDDEN:
            return Forbidden("This is not your session.")
        case _:
            return Conflict("This connection is already in a session.", role=who.value)
