"""Options and help."""

from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner

from cli.main import app

runner = CliRunner()
COMMANDS = (
    "serve",
    "speak",
    "listen",
    "token",
    "doctor",
    "smoke",
    "bench latency",
    "sessions list",
    "sessions show",
    "sessions end",
    "models list",
    "models add",
    "models remove",
    "models verify",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_helps_with_an_example(name: str) -> None:
    """--help explains and shows a command to copy."""
    done = runner.invoke(app, [*name.split(), "--help"])
    assert done.exit_code == 0
    assert f"Example: babelcast {name}" in done.output


def test_a_token_is_printed_alone(tmp_path: Path) -> None:
    """Only the token is on stdout, so that a shell can take it."""
    done = runner.invoke(app, ["token", "--data-dir", str(tmp_path), "--subject", "alice"])
    assert done.exit_code == 0
    assert done.stdout.count("\n") == 1
    assert done.stdout.count(".") == 2


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        ([], None),
        (["--operator"], ["babelcast-operators"]),
        (["--operator", "--operator-group", "admins"], ["admins"]),
    ],
)
def test_an_operators_token(tmp_path: Path, words: list[str], groups: list[str] | None) -> None:
    """It names the operators' group; a speaker's names none."""
    done = runner.invoke(app, ["token", "--data-dir", str(tmp_path), *words])
    claims = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
    assert claims.get("groups") == groups


def test_the_data_directory_may_be_an_environment_variable(tmp_path: Path) -> None:
    """DATA_DIR says where the issuer is."""
    runner.invoke(app, ["token"], env={"DATA_DIR": str(tmp_path / "here")})
    assert (tmp_path / "here").is_dir()


@pytest.mark.parametrize("words", [["speak"], ["speak", "--microphone", __file__]])
def test_speak_wants_a_file_or_the_microphone(words: list[str]) -> None:
    """Neither and both are refused in one line."""
    done = runner.invoke(app, words)
    assert done.exit_code == 1
    assert done.stderr == "babelcast: name a sound file, or say --microphone or --scripted\n"


@pytest.mark.parametrize(
    "words",
    [
        ["listen", "golden-eagle-427", "--to", "es", "--no-voice", "--url", "ws://127.0.0.1:1"],
        ["smoke", "ws://127.0.0.1:1", "--token", "x"],
        ["speak", __file__, "--token", "x"],
        ["sessions", "list", "--url", "ws://127.0.0.1:1", "--token", "x"],
        ["sessions", "show", "golden-eagle-427", "--url", "ws://127.0.0.1:1", "--token", "x"],
        ["sessions", "end", "golden-eagle-427", "--url", "ws://127.0.0.1:1", "--token", "x"],
        ["sessions", "list", "--data-dir", "/nowhere"],
        ["bench", "latency", "--url", "ws://127.0.0.1:1", "--token", "x"],
    ],
)
def test_what_goes_wrong_is_one_line(words: list[str]) -> None:
    """Nobody there, or no sound in the file: a code, and no traceback."""
    done = runner.invoke(app, words)
    assert done.exit_code == 1
    assert done.stderr.startswith("babelcast: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
