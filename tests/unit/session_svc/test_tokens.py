"""Resume tokens."""

import secrets
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_svc.model import Former, Role, Seat
from session_svc.tokens import PresentedToken, fits, fits_former, issue, parse

CODE = "golden-eagle-427"


def seated(connection_id: str = "c1", role: Role = Role.LISTENER) -> tuple[Seat, PresentedToken]:
    """A seat and its token."""
    token = issue(CODE, role, connection_id, secrets.token_bytes)
    presented = parse(token.text)
    assert presented is not None
    return Seat(connection_id, CODE, role, token.token_hash, until_ms=0), presented


@given(st.text(min_size=1, max_size=128), st.sampled_from(Role))
def test_a_token_fits_its_seat(connection_id: str, role: Role) -> None:
    """Whatever a connection is called, its token is taken apart and fits."""
    seat, token = seated(connection_id, role)
    assert token.connection_id == connection_id
    assert fits(token, CODE, seat)


def test_a_token_fits_no_other_seat() -> None:
    """Session, role, connection and secret all count."""
    seat, token = seated()
    assert not fits(token, "golden-eagle-428", seat)
    assert not fits(token, CODE, replace(seat, role=Role.SPEAKER))
    assert not fits(replace(token, connection_id="c2"), CODE, seat)
    assert not fits(replace(token, secret=token.secret[:-1]), CODE, seat)


def test_parts_do_not_run_together() -> None:
    """Moving a letter from one part to the next makes another token."""
    seat, token = seated("ab")
    moved = PresentedToken("a", "b" + token.secret)
    assert not fits(moved, CODE, seat)


def test_tokens_are_unguessable_and_not_stored() -> None:
    """256 bits from the source of randomness, of which only a hash is kept."""
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    token = issue(CODE, Role.SPEAKER, "c1", random_bytes)
    assert asked == [32]
    assert len(token.token_hash) == 32
    assert token.text.split(".")[1].encode() not in token.token_hash
    assert token.token_hash != issue(CODE, Role.SPEAKER, "c1", secrets.token_bytes).token_hash


@pytest.mark.parametrize("text", ["", ".", "c1", "c1.", ".secret", "x" * 600 + ".s"])
def test_what_is_no_token(text: str) -> None:
    """Text that cannot be a token is told apart without a look into the store."""
    assert parse(text) is None


def test_the_token_before_is_good_for_a_while() -> None:
    """It fits as a token does, until its time; the seat's own token is no former one."""
    old, before = seated()
    own, now = seated("c2")
    seat = replace(own, former=Former("c1", old.token_hash, until_ms=10))
    assert fits_former(before, CODE, seat, now_ms=9)
    assert not fits_former(before, CODE, seat, now_ms=10)
    assert not fits_former(before, CODE, own, now_ms=9)
    assert not fits_former(now, CODE, seat, now_ms=9)
    assert not fits_former(before, "golden-eagle-428", seat, now_ms=9)
    assert not fits_former(replace(before, secret="A" * 43), CODE, seat, now_ms=9)
