"""Tokens from the local issuer."""

from pathlib import Path

import jwt
import pytest

from babelcast.errors import Unauthorized
from cli import token


def test_a_minted_token_names_its_speaker_and_its_end(tmp_path: Path) -> None:
    """Subject and lifetime are as asked for."""
    claims = jwt.decode(token.mint(tmp_path, subject="alice", hours=2), options={"verify_signature": False})
    assert claims["sub"] == "alice"
    assert claims["exp"] - claims["iat"] == pytest.approx(7200, abs=2)


def test_a_given_token_is_taken_as_it_is(tmp_path: Path) -> None:
    """Nothing is made when a token is given."""
    assert token.given_or_minted("mine", tmp_path) == "mine"
    assert list(tmp_path.iterdir()) == []


def test_without_a_server_s_directory_there_is_no_token(tmp_path: Path) -> None:
    """A directory without an issuer is no place to mint from by accident."""
    with pytest.raises(Unauthorized, match="--token"):
        token.given_or_minted("", tmp_path)
    token.mint(tmp_path, subject="x", hours=1)
    assert token.given_or_minted("", tmp_path).count(".") == 2
