"""Proof that `make check` passed on a commit: `python -m deploy.gates.checked COMMIT` writes it when it has.

CI keeps the file (var/checked.json) and hands it to whoever deploys.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[2]
_TIMEOUT_S: Final = 60


class Checked(msgspec.Struct, frozen=True):
    """All of `make check` passed on this commit, with nothing changed."""

    commit: str
    at: str
    """UTC."""
    coverage: float
    """%, of branches and lines."""


def place(environ: Mapping[str, str]) -> Path:
    """Where the proof is: CHECKED, or var/checked.json."""
    return Path(environ.get("CHECKED") or ROOT / "var" / "checked.json")


def proof(environ: Mapping[str, str], commit: str) -> Checked | None:
    """The proof for a commit; None when there is none, or one for another."""
    try:
        found = msgspec.json.decode(place(environ).read_bytes(), type=Checked)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if commit and found.commit == commit else None


def commit() -> str:
    """The commit that is checked out; nothing outside of a repository."""
    return _git("rev-parse", "HEAD")


def changed() -> Sequence[str]:
    """Files that are not as they were committed."""
    return _git("status", "--porcelain").splitlines()


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Write the proof, unless what was checked is no commit; returns the exit code."""
    (began_with,) = arguments
    if not began_with or commit() != began_with or changed():
        sys.stderr.write("check: passed, on files that are no commit, so there is no proof of it\n")
        return 0
    total = subprocess.run(
        [sys.executable, "-m", "coverage", "report", "--format=total", "--precision=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if total.returncode:
        sys.stderr.write(f"check: there is no proof, since the coverage is not known: {total.stderr}\n")
        return 0
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    path = place(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(Checked(began_with, now, float(total.stdout))))
    return 0


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    return done.stdout.rstrip("\n") if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
