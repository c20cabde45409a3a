"""`deploy/dev/dynamodb` with an npm and a Java that are none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "dev" / "dynamodb"
JAVA = """echo 'openjdk version "17.0.1" 2021-10-19' >&2"""
NPM = """echo called >>"$CALLS"; echo rubbish >amplify-dynamodb-simulator-2.9.30.tgz"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script in a checkout of its own."""
    made = tmp_path / "deploy" / "dev" / "dynamodb"
    made.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, made)
    shutil.copy(SCRIPT.parent / "debian", made.parent)
    return made


def run(
    script: Path, *arguments: str, java: str = JAVA, **variables: str
) -> subprocess.CompletedProcess[str]:
    """What it says and does, with nothing at hand to install packages."""
    programs = script.parent / "bin"
    programs.mkdir(exist_ok=True)
    for name, body in (("java", java), ("npm", NPM), ("apt-get", "exit 1"), ("sudo", "exit 1")):
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(script.parent / "calls"), **variables}
    return subprocess.run([script, *arguments], check=False, capture_output=True, text=True, env=environ)


def calls(script: Path) -> int:
    """How often npm was asked."""
    return (script.parent / "calls").read_text().count("called")


def test_what_is_not_what_it_was_is_refused(script: Path) -> None:
    """An archive with another checksum is neither unpacked nor kept."""
    done = run(script, "install")
    assert done.returncode == 1
    assert "SHA-512" in done.stderr
    assert sorted(path.name for path in (script.parents[2] / "var" / "dynamodb-local").iterdir()) == [".lock"]


def test_what_failed_is_not_tried_again_at_once(script: Path) -> None:
    """Tests do not wait for npm each time; CI and people who ask for it do."""
    assert run(script, "prepare").returncode == 1
    assert "a while ago" in run(script, "prepare").stderr
    assert calls(script) == 1
    assert run(script, "prepare", CI="true").returncode == 1
    assert run(script, "install").returncode == 1
    assert calls(script) == 3


@pytest.mark.parametrize("java", ["exit 127", """echo 'java version "1.8.0_392"' >&2"""])
def test_a_java_is_needed(script: Path, java: str) -> None:
    """Without one, or with an old one, the line to run is told."""
    done = run(script, "install", java=java)
    assert done.returncode == 1
    assert "apt-get install default-jre-headless" in done.stderr
