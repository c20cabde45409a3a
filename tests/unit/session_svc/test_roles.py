"""The table of who may do what."""

import itertools

from babelcast.errors import ErrorCode
from session_svc.model import Life, Role, Seat
from session_svc.roles import TABLE, Action, Standing, refusal, rule, standing

CODE = "golden-eagle-427"
# Written out a second time, by hand: rows are stranger, owner, listener, other speaker, other listener.
EXPECTED = {
    Action.CREATE: "may CONFLICT CONFLICT CONFLICT CONFLICT",
    Action.JOIN: "may CONFLICT CONFLICT CONFLICT CONFLICT",
    Action.REFRESH: "may CONFLICT CONFLICT CONFLICT CONFLICT",
    Action.GET: "may may may may may",
    Action.CHANGE_LANGUAGE: "UNAUTHORIZED_ACTION UNAUTHORIZED_ACTION may UNAUTHORIZED_ACTION FORBIDDEN",
    Action.UPDATE_BROADCAST: "FORBIDDEN may UNAUTHORIZED_ACTION FORBIDDEN UNAUTHORIZED_ACTION",
    Action.END: "FORBIDDEN may UNAUTHORIZED_ACTION FORBIDDEN UNAUTHORIZED_ACTION",
}


def test_the_table_is_whole() -> None:
    """Every action has a row, and every row a cell for everybody."""
    assert set(TABLE) == set(Action) == set(EXPECTED)
    assert all(set(row) == set(Standing) for row in TABLE.values())


def test_live_sessions() -> None:
    """In a live session the caller's standing decides."""
    for action, row in EXPECTED.items():
        assert [rule(action, who, Life.LIVE) or "may" for who in Standing] == row.split()


def test_sessions_that_are_gone() -> None:
    """A session that is not there, or over, answers so to everybody; only a new one needs none."""
    for action, who in itertools.product(Action, Standing):
        if action is Action.CREATE:
            assert rule(action, who, Life.OVER) == rule(action, who, Life.ABSENT) == TABLE[action][who]
        else:
            assert rule(action, who, Life.OVER) is ErrorCode.SESSION_ENDED
            assert rule(action, who, Life.ABSENT) is ErrorCode.SESSION_NOT_FOUND


def test_standing() -> None:
    """A connection's standing follows from its seat."""
    seats = [None] + [
        Seat("c", code, role, b"", 0)
        for code, role in [
            (CODE, Role.SPEAKER),
            (CODE, Role.LISTENER),
            ("x", Role.SPEAKER),
            ("x", Role.LISTENER),
        ]
    ]
    assert [standing(CODE, seat) for seat in seats] == list(Standing)


def test_refusals_carry_their_code() -> None:
    """Each answer of the table becomes the error of that code, worded for people."""
    for action, who, life in itertools.product(Action, Standing, Life):
        code = rule(action, who, life)
        if code is not None:
            error = refusal(code, action, who, CODE)
            assert error.code is code
            assert error.message.endswith(".")
