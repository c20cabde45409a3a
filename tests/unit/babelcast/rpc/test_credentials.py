"""Who may call: what configurations mean, and how tokens and names are compared."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.config import ConfigError, load
from babelcast.rpc.credentials import (
    MIN_TOKEN_CHARS,
    Calling,
    Protection,
    ServingConfig,
    has_token,
    names,
    tokens,
)
from babelcast.rpc.server import GrpcServer
from babelcast.rpc.tls_files import Pem

OLD, NEW = "o" * MIN_TOKEN_CHARS, "n" * MIN_TOKEN_CHARS
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=32)


@pytest.mark.parametrize("bind", ["0.0.0.0:50051", "[::]:50051", "10.1.2.3:0", "session:50051"])
def test_a_service_for_other_machines_needs_protection(bind: str) -> None:
    """Anybody on the network could call it, so it does not even start, unless that is meant."""
    with pytest.raises(ConfigError, match="SERVICE_TOKEN"):
        Protection.of({}).check(bind)
    with pytest.raises(ConfigError, match="other machines"):
        GrpcServer(bind, services=[])
    Protection.of({"SERVICE_TOKEN": OLD}).check(bind)
    Protection.of({"GRPC_ALLOW_PLAINTEXT": "true"}).check(bind)


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "[::1]:50051", "localhost:1", "unix:/run/x", "127.9.9.9:1"])
def test_a_service_for_its_own_machine_needs_none(bind: str) -> None:
    """So a checkout runs without further ado."""
    Protection.of({}).check(bind)


def test_short_secrets_are_refused() -> None:
    """Also when only one of several is."""
    for text in ("x", f"{OLD},short", "ü" * 40):
        with pytest.raises(ConfigError, match="SERVICE_TOKEN"):
            Protection.of({"SERVICE_TOKEN": text})
        with pytest.raises(ConfigError, match="SERVICE_TOKEN"):
            Calling.of({"SERVICE_TOKEN": text})


def test_several_tokens_are_for_rotation() -> None:
    """The first is sent, all are taken."""
    assert tokens(f"{NEW}, {OLD}") == (NEW, OLD)
    assert Calling.of({"SERVICE_TOKEN": f"{NEW},{OLD}"}) == Calling(token=NEW)
    assert Protection.of({"SERVICE_TOKEN": f"{NEW},{OLD}"}).tokens == (NEW, OLD)


@given(good=st.lists(SECRETS, min_size=1, max_size=3), other=SECRETS)
def test_only_a_good_token_is_one(good: list[str], other: str) -> None:
    """Whole, with its scheme, in one header."""
    for token in good:
        assert has_token([("x", "y"), ("authorization", f"Bearer {token}")], good)
        assert not has_token([("authorization", token)], good)
        assert not has_token([("authorization", f"Bearer {token}")] * 2, good)
        assert not has_token([("authorization-bin", f"Bearer {token}".encode())], good)
    assert has_token([("authorization", f"Bearer {other}")], good) == (other in good)
    assert not has_token([], good)


def test_a_peer_is_whom_its_alternative_names_say() -> None:
    """A common name, which authorities do not check, counts for nothing."""
    assert names({"x509_common_name": [b"gateway"]}) == frozenset()
    assert names({"x509_subject_alternative_name": [b"gateway", b"spiffe://x/y"]}) == {
        "gateway",
        "spiffe://x/y",
    }


def test_secrets_are_not_shown() -> None:
    """Where such a thing is told whole, as in a traceback with locals."""
    environ = {"SERVICE_TOKEN": NEW}
    for told in (load(ServingConfig, environ), Protection.of(environ), Calling.of(environ)):
        assert NEW not in repr(told)
    key = b"-----BEGIN PRIVATE KEY-----"
    assert "PRIVATE" not in repr(Pem(cert=b"", key=key, ca=b"", expires=datetime.now(UTC)))
