"""`deploy/dev/prometheus` where there are no such programs and none can be had."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "dev" / "prometheus"
TOOLS = (
    "bash",
    "dirname",
    "mkdir",
    "flock",
    "find",
    "id",
    "touch",
    "rm",
    "env",
    "cat",
    "mktemp",
    "chmod",
    "dpkg-deb",
)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script in a checkout of its own, that finds no programs."""
    made = tmp_path / "deploy" / "dev" / "prometheus"
    made.parent.mkdir(parents=True)
    made.write_text(SCRIPT.read_text())
    made.chmod(0o755)
    shutil.copy(SCRIPT.parent / "debian", made.parent)
    return made


def run(script: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What it says and does, with nothing at hand to install packages."""
    programs = script.parent / "bin"
    programs.mkdir(exist_ok=True)
    for tool in TOOLS:
        found = shutil.which(tool)
        if found and not (programs / tool).exists():
            (programs / tool).symlink_to(found)
    for name in ("apt-get", "sudo"):
        (programs / name).write_text('#!/bin/sh\necho called >>"$CALLS"\nexit 1\n')
        (programs / name).chmod(0o755)
    environ = {"PATH": str(programs), "CALLS": str(script.parent / "calls"), **variables}
    return subprocess.run(
        [shutil.which("bash") or "bash", script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
    )


def test_what_is_missing_is_named(script: Path) -> None:
    """Who may not install it is told the line to run."""
    done = run(script, "install")
    assert done.returncode == 1
    assert "apt-get install prometheus prometheus-alertmanager" in done.stderr


def test_what_failed_is_not_tried_again_at_once(script: Path) -> None:
    """Tests do not wait for apt each time; CI does."""
    assert run(script, "prepare").returncode == 1
    tried = (script.parent / "calls").read_text()
    assert "a while ago" in run(script, "prepare").stderr
    assert (script.parent / "calls").read_text() == tried
    assert run(script, "prepare", CI="true").returncode == 1
    assert (script.parent / "calls").read_text() != tried


def test_a_program_runs_with_its_arguments(script: Path) -> None:
    """What is there is taken, and nothing is fetched."""
    programs = script.parent / "bin"
    programs.mkdir()
    for name in ("promtool", "prometheus", "amtool", "prometheus-alertmanager"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (programs / name).chmod(0o755)
    assert run(script, "promtool", "check", "rules").stdout == "promtool check rules\n"
    assert run(script, "alertmanager").stdout == "prometheus-alertmanager\n"
    assert not (script.parent / "calls").exists()


def test_another_word_is_explained(script: Path) -> None:
    """Nothing is fetched for a mistake."""
    done = run(script, "promtol")
    assert done.returncode == 2
    assert "promtool" in done.stderr
