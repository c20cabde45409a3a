"""What is installed is what was chosen, and nothing says from where."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME: list[str] = PROJECT["dependencies"]
DEVELOPMENT: list[str] = PROJECT["optional-dependencies"]["dev"]
LOCKS = {"requirements.lock": RUNTIME, "requirements-dev.lock": RUNTIME + DEVELOPMENT}
ALL_LOCKS = [*LOCKS, "deploy/dev/bootstrap.lock"]


def locked(name: str) -> set[str]:
    """The packages of a lock file, "name==version", names in lower case."""
    return set(re.findall(r"^([a-z0-9._-]+==[^ ]+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", LOCKS)
def test_hold_what_the_project_asks_for(name: str) -> None:
    """Each dependency stands in the lock at its version; `make lock` mends it."""
    wanted = {re.sub(r"\[.*?\]", "", dependency).lower() for dependency in LOCKS[name]}
    assert wanted - locked(name) == set()


def test_agree() -> None:
    """What runs in production is what was tested, and the installer is the one that was locked."""
    assert locked("requirements.lock") < locked("requirements-dev.lock")
    assert locked("deploy/dev/bootstrap.lock") < locked("requirements-dev.lock")


@pytest.mark.parametrize("name", ALL_LOCKS)
def test_have_a_hash_for_everything(name: str) -> None:
    """Nothing is installed unseen."""
    for block in re.split(r"^(?=[a-z0-9])", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize("name", ALL_LOCKS)
def test_name_no_host_and_no_path(name: str) -> None:
    """The files are the same wherever they are made."""
    assert (
        re.findall(r"^.*(?:://|/tmp|--index|--find-links|#).*$", (ROOT / name).read_text(), re.MULTILINE)
        == []
    )
