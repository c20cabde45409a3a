"""Who may do what: one table, and the one function that reads it."""

from enum import StrEnum
from typing import Final

from babelcast.errors import BabelcastError, Conflict, Forbidden, SessionEnded, UnauthorizedAction
from babelcast.protocol import client_messages as ask


class Role(StrEnum):
    """What a connection is to a session."""

    NONE = "visitor"
    SPEAKER = "speaker"
    LISTENER = "listener"


_EVERYBODY = frozenset(Role)
_SPEAKER = frozenset({Role.SPEAKER})
_LISTENER = frozenset({Role.LISTENER})

ALLOWED: Final[dict[type[ask.AnyClientMessage], frozenset[Role]]] = {
    ask.CreateSession: frozenset({Role.NONE}),
    ask.JoinSession: frozenset({Role.NONE}),
    ask.RefreshConnection: frozenset({Role.NONE}),
    ask.SendAudio: _SPEAKER,
    ask.ControlBroadcast: _SPEAKER,
    ask.SetVolume: _SPEAKER,
    ask.SpeakerStateChange: _SPEAKER,
    ask.EndSession: _SPEAKER,
    ask.EditTranscript: _SPEAKER,
    ask.ChangeLanguage: _LISTENER,
    ask.PausePlayback: _LISTENER,
    ask.ResumePlayback: _LISTENER,
    ask.GetSessionStatus: _SPEAKER | _LISTENER,
    ask.Heartbeat: _EVERYBODY,
    ask.ListLanguages: _EVERYBODY,
    ask.ListSessions: _EVERYBODY,
    ask.ShowSession: _EVERYBODY,
    ask.CloseSession: _EVERYBODY,
}
NEEDS_LIVE_SESSION: Final = frozenset(
    {
        ask.SendAudio,
        ask.ControlBroadcast,
        ask.SetVolume,
        ask.SpeakerStateChange,
        ask.EndSession,
        ask.EditTranscript,
        ask.ChangeLanguage,
        ask.PausePlayback,
        ask.ResumePlayback,
        ask.GetSessionStatus,
    }
)
OPERATORS: Final = frozenset({ask.ListSessions, ask.ShowSession, ask.CloseSession})
OPENS: Final = frozenset({ask.CreateSession, ask.JoinSession, ask.RefreshConnection})


def check(
    kind: type[ask.AnyClientMessage],
    *,
    action: str,
    role: Role,
    own_session: str,
    named_session: str,
    ended: bool,
    operator: bool = False,
) -> None:
    """Let the action pass or say why not. `named_session` is the message's sessionId, "" when absent;
    `operator` says that an operator's token came with it.

    A connection whose session has ended may open another one.

    Raises: Conflict, UnauthorizedAction, Forbidden, SessionEnded.
    """
    if kind in OPERATORS and not operator:
        raise UnauthorizedAction(action, role)
    refusal = _refusal(
        kind, action=action, role=role, own_session=own_session, named_session=named_session, ended=ended
    )
    if refusal is not None:
        raise refusal


def _refusal(
    kind: type[ask.AnyClientMessage],
    *,
    action: str,
    role: Role,
    own_session: str,
    named_session: str,
    ended: bool,
) -> BabelcastError | None:
    if kind in OPENS:
        if role is Role.NONE or ended:
            return None
        return Conflict(f"This connection is already a {role} of {own_session}.", sessionId=own_session)
    if role not in ALLOWED[kind]:
        return UnauthorizedAction(action, role)
    if kind not in NEEDS_LIVE_SESSION:
        return None
    if named_session and named_session != own_session:
        return Forbidden("That session is not yours.", sessionId=named_session)
    if ended:
        return SessionEnded(own_session)
    return None
