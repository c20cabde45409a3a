"""The development issuer."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from babelcast.auth.local_issuer import KEY_FILE, LocalIssuer, local_trust
from babelcast.auth.verifier import open_verifier
from babelcast.errors import ServiceUnavailable, TokenExpired
from tests.unit.babelcast.auth.issuer import Issuer


async def test_its_tokens_go_the_way_of_all_tokens(tmp_path: Path, issuer: Issuer) -> None:
    """A minted token is good for a verifier that gets the key set over HTTP."""
    local = LocalIssuer.open(tmp_path)
    issuer.body = msgspec.json.encode(local.jwks())
    async with open_verifier(local_trust(issuer.url)) as verifier:
        speaker = await verifier.verify(local.mint("anna", lifetime_s=60))
        assert speaker.subject == "anna"
        with pytest.raises(TokenExpired):
            await verifier.verify(local.mint("anna", lifetime_s=-1))


def test_the_key_outlives_the_process(tmp_path: Path) -> None:
    """The same directory has the same key, for its owner's eyes only."""
    first = LocalIssuer.open(tmp_path / "data")
    path = tmp_path / "data" / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert LocalIssuer.open(tmp_path / "data").jwks() == first.jwks()


def test_a_key_that_others_may_read_is_closed(tmp_path: Path) -> None:
    """Permissions that were loosened are tightened again."""
    LocalIssuer.open(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    LocalIssuer.open(tmp_path)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_threads_that_start_at_once_share_a_key(tmp_path: Path) -> None:
    """One key is made, however many begin together."""
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: LocalIssuer.open(tmp_path).kid, range(8)))) == 1


def test_processes_that_start_at_once_share_a_key(tmp_path: Path) -> None:
    """One key is made, and a draft that a crash left behind is in nobody's way."""
    (tmp_path / f".{KEY_FILE}.draft").write_text("half a key")
    program = (
        "import sys, pathlib; from babelcast.auth.local_issuer import LocalIssuer;"
        "print(LocalIssuer.open(pathlib.Path(sys.argv[1])).kid)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    kids = {process.communicate(timeout=60)[0] for process in running}
    assert len(kids) == 1
    assert kids == {LocalIssuer.open(tmp_path).kid + "\n"}


@pytest.mark.parametrize("content", ["", "nonsense"])
def test_a_broken_key_file(tmp_path: Path, content: str) -> None:
    """A file without a key is reported, with what to do, and not replaced."""
    (tmp_path / KEY_FILE).write_text(content)
    with pytest.raises(ServiceUnavailable, match="delete it"):
        LocalIssuer.open(tmp_path)
    assert (tmp_path / KEY_FILE).read_text() == content
