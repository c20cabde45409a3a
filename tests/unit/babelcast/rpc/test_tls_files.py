"""Certificates in files that are replaced while they are in use."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from babelcast.config import ConfigError
from babelcast.rpc.tls_files import LOOK_EVERY_S, Paths, TlsFiles
from tests.certificates import Authority


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One for all tests."""
    return Authority.make()


class Clock:
    """Seconds that pass when the test says so."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_what_is_new_is_taken_and_is_the_same_object_until_then(authority: Authority, tmp_path: Path) -> None:
    """So whoever uses it sees by identity alone that nothing has changed."""
    clock = Clock()
    files = TlsFiles(authority.sign("here").write(tmp_path, ca=authority.pem), clock=clock)
    first = files.current()
    clock.now_s += LOOK_EVERY_S
    assert files.current() is first
    second = authority.sign("here")
    second.write(tmp_path, ca=authority.pem)
    assert files.current() is first  # it was looked just now
    clock.now_s += LOOK_EVERY_S
    assert files.current().cert == second.cert
    assert files.current().key == second.key


def test_a_folder_may_be_exchanged_behind_a_link(authority: Authority, tmp_path: Path) -> None:
    """As Kubernetes does with mounted secrets."""
    clock = Clock()
    made = [authority.sign("here"), authority.sign("here")]
    for number, one in enumerate(made):
        one.write(tmp_path / str(number), ca=authority.pem)
    link = tmp_path / "data"
    link.symlink_to(tmp_path / "0")
    files = TlsFiles(Paths(cert=str(link / "cert.pem"), key=str(link / "key.pem")), clock=clock)
    assert files.current().cert == made[0].cert
    (tmp_path / "fresh").symlink_to(tmp_path / "1")
    (tmp_path / "fresh").replace(link)
    clock.now_s += LOOK_EVERY_S
    assert files.current().cert == made[1].cert


def test_what_does_not_belong_together_is_left_alone(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Between a new certificate and its key, and while a file is gone or half written, the old ones hold."""
    clock = Clock()
    paths = authority.sign("here").write(tmp_path, ca=authority.pem)
    files = TlsFiles(paths, clock=clock)
    first, second = files.current(), authority.sign("here")
    Path(paths.cert).write_bytes(second.cert)
    clock.now_s += LOOK_EVERY_S
    with caplog.at_level(logging.WARNING):
        assert files.current() is first
    assert "certificate files left alone" in caplog.messages
    for broken in (second.key[:40], b""):
        Path(paths.key).write_bytes(broken)
        clock.now_s += LOOK_EVERY_S
        assert files.current() is first
    Path(paths.key).unlink()
    clock.now_s += LOOK_EVERY_S
    assert files.current() is first
    Path(paths.key).write_bytes(second.key)
    clock.now_s += LOOK_EVERY_S
    assert files.current().cert == second.cert


def test_files_that_are_not_fit_stop_the_start(authority: Authority, tmp_path: Path) -> None:
    """And the message names the file, and nothing of what is in it."""
    paths = authority.sign("here").write(tmp_path, ca=authority.pem)
    other = authority.sign("here")
    for path, content, words in (
        (paths.cert, b"no certificate", "holds no certificate"),
        (paths.key, b"swordfish", "holds no key"),
        (paths.key, other.key, "is not the key of"),
        (paths.ca, b"", "holds no certificate"),
    ):
        good = Path(path).read_bytes()
        Path(path).write_bytes(content)
        with pytest.raises(ConfigError, match=words) as refused:
            TlsFiles(paths)
        assert "swordfish" not in str(refused.value)
        Path(path).write_bytes(good)
    with pytest.raises(ConfigError, match="cannot be read"):
        TlsFiles(Paths(cert=paths.cert, key=str(tmp_path / "nothing")))
    assert TlsFiles(paths).current().key == Path(paths.key).read_bytes()


def test_a_certificate_that_ends_soon_is_told(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When it is read, so that a renewal that hangs is seen."""
    with caplog.at_level(logging.INFO):
        TlsFiles(authority.sign("here").write(tmp_path / "long", ca=authority.pem))
        assert caplog.messages == ["certificate read"]
        TlsFiles(authority.sign("here", ends=timedelta(days=3)).write(tmp_path / "soon", ca=authority.pem))
    assert caplog.messages[1:] == ["certificate ends soon or has ended"]


def test_all_files_or_none() -> None:
    """Half of them would be TLS that somebody believes to be on."""
    assert Paths.of(TLS_CERT="", TLS_KEY="") is None
    assert Paths.of(TLS_CERT="a", TLS_KEY="b") == Paths(cert="a", key="b")
    assert Paths.of(GRPC_TLS_CA="c", GRPC_TLS_CERT="a", GRPC_TLS_KEY="b") == Paths("a", "b", "c")
    with pytest.raises(ConfigError, match="GRPC_TLS_CA, GRPC_TLS_KEY: must be set"):
        Paths.of(GRPC_TLS_CA="", GRPC_TLS_CERT="a", GRPC_TLS_KEY="")
