"""What was released is written down, and contracts are compared with it."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RELEASES: list[dict[str, str]] = tomllib.loads((ROOT / "deploy/releases/releases.toml").read_text())[
    "release"
]


def compatible(contracts: Path) -> bool:
    """Whether contracts get on with those of the last release."""
    done = subprocess.run(
        [ROOT / "deploy/dev/check-compatible", contracts], capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode == 0


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A copy of today's."""
    return Path(shutil.copytree(ROOT / "proto", tmp_path / "proto"))


def replaced(path: Path, pattern: str, text: str) -> None:
    """Change a file, which must have it."""
    changed, times = re.subn(pattern, text, path.read_text(), count=1)
    assert times == 1
    path.write_text(changed)


def test_releases_come_in_order_with_what_belongs_to_them() -> None:
    """Each has a commit and an image of its contracts, and today's version is later than the last."""
    versions = [tuple(map(int, release["version"].split("."))) for release in RELEASES]
    assert versions == sorted(set(versions))
    for release in RELEASES:
        assert re.fullmatch("[0-9a-f]{40}", release["commit"])
        assert (ROOT / "deploy/releases" / f"{release['version']}.binpb").is_file()
        assert f"## [{release['version']}] - {release['date']}" in (ROOT / "CHANGELOG.md").read_text()
    today = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert tuple(map(int, today.split(".")[:3])) > versions[-1]


def test_todays_contracts_get_on_with_the_last_release(contracts: Path) -> None:
    """A service of one version can be beside those of the other; an added field changes nothing about it."""
    assert compatible(contracts)
    replaced(
        contracts / "babelcast/session/v1/session.proto",
        r"(message CreateSessionRequest \{)",
        r"\1\n  // New.\n  string new_field = 777;",
    )
    assert compatible(contracts)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\n  string session_id = 1;", "\n  string session_id = 900;"),
        (r"\n  string session_id = 1;", "\n  int32 session_id = 1;"),
        (r"rpc EndSession\(", "rpc CloseSession("),
    ],
)
def test_a_breaking_change_is_refused(contracts: Path, pattern: str, text: str) -> None:
    """Another number, another type, another name of a call."""
    replaced(contracts / "babelcast/session/v1/session.proto", pattern, text)
    assert not compatible(contracts)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release["version"])
def test_an_image_is_of_its_commit(release: dict[str, str], tmp_path: Path) -> None:
    """What is compared with is what was released, where this clone has the commit, as that of CI must."""
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", release["commit"], "proto"], capture_output=True, check=False
    )
    if archive.returncode:
        assert not os.environ.get("CI"), f"fetch all of the history: {archive.stderr.decode()}"
        pytest.skip(f"this clone lacks {release['commit']}")
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    subprocess.run(
        [
            ROOT / ".venv/bin/buf",
            *("build", "proto", "--exclude-source-info", "-o", "image.binpb"),
        ],
        cwd=tmp_path,
        check=True,
    )
    image = ROOT / "deploy/releases" / f"{release['version']}.binpb"
    assert (tmp_path / "image.binpb").read_bytes() == image.read_bytes()
