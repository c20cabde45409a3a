"""The last release's code, to be run beside today's."""

import os
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("babelcast", "gateway", "session_svc", "transcription_svc", "translation_svc")


def last_release() -> dict[str, str]:
    """Its version and commit."""
    written = tomllib.loads((ROOT / "deploy/releases/releases.toml").read_text())
    release: dict[str, str] = written["release"][-1]
    return release


def unpacked(folder: Path) -> Path:
    """The last release's services in a folder; the test is skipped where this clone lacks its commit, but not
    in CI, where nobody would see that.
    """
    release = last_release()
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", release["commit"], *PACKAGES], capture_output=True, check=False
    )
    if archive.returncode:
        assert not os.environ.get("CI"), f"fetch all of the history: {archive.stderr.decode()}"
        pytest.skip(f"this clone lacks {release['commit']}, which is {release['version']}")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


def environ_of(tree: Path) -> dict[str, str]:
    """In which `python -m` takes the services from there: the path comes first, the working directory not
    at all.
    """
    return {"PYTHONPATH": os.fspath(tree), "PYTHONSAFEPATH": "1"}
