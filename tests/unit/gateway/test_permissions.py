"""Who may do what, checked for every action, role and state against a table written down a second time."""

import itertools

import pytest

from babelcast.errors import BabelcastError, ErrorCode
from babelcast.protocol import codec
from gateway import permissions
from gateway.permissions import Role

OWN = "golden-eagle-427"
OTHER = "silver-heron-112"
OPENING = {"createSession", "joinSession", "refreshConnection"}
ALWAYS = {"heartbeat", "listLanguages"}
SPEAKERS = {
    "sendAudio",
    "controlBroadcast",
    "setVolume",
    "speakerStateChange",
    "endSession",
    "editTranscript",
}
LISTENERS = {"changeLanguage", "pausePlayback", "resumePlayback"}
BOTH = {"getSessionStatus"}
OPERATORS = {"listSessions", "showSession", "closeSession"}


def expected(action: str, role: Role, named: str, *, ended: bool, operator: bool) -> ErrorCode | None:
    """The protocol's answer."""
    if action in OPERATORS:
        return None if operator else ErrorCode.UNAUTHORIZED_ACTION
    if action in OPENING:
        return None if role is Role.NONE or ended else ErrorCode.CONFLICT
    if action in ALWAYS:
        return None
    roles = {Role.SPEAKER: SPEAKERS | BOTH, Role.LISTENER: LISTENERS | BOTH, Role.NONE: set[str]()}
    if action not in roles[role]:
        return ErrorCode.UNAUTHORIZED_ACTION
    if named == OTHER:
        return ErrorCode.FORBIDDEN
    return ErrorCode.SESSION_ENDED if ended else None


def test_the_table_knows_every_action() -> None:
    """No action of the protocol is left out, here or there."""
    assert set(codec.ACTIONS) == OPENING | ALWAYS | SPEAKERS | LISTENERS | BOTH | OPERATORS
    assert set(permissions.ALLOWED) == set(codec.ACTIONS.values())


@pytest.mark.parametrize("action", sorted(codec.ACTIONS))
def test_every_role_and_state(action: str) -> None:
    """Each combination passes or is refused with the protocol's code."""
    states = itertools.product(Role, ("", OWN, OTHER), (False, True), (False, True))
    for role, named, ended, operator in states:
        if role is Role.NONE and ended:
            continue  # a visitor has no session that could have ended
        try:
            permissions.check(
                codec.ACTIONS[action],
                action=action,
                role=role,
                own_session="" if role is Role.NONE else OWN,
                named_session=named,
                ended=ended,
                operator=operator,
            )
        except BabelcastError as error:
            code: ErrorCode | None = error.code
        else:
            code = None
        wanted = expected(action, role, named, ended=ended, operator=operator)
        assert code == wanted, (role, named, ended, operator)
