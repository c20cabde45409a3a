"""Defaults of the command line."""

import sys
from pathlib import Path

import pytest

from cli import places, serve


def test_the_data_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_DATA_HOME counts when it is absolute, else the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.default_data_dir({"XDG_DATA_HOME": "/data"}) == Path("/data/babelcast")
    at_home = tmp_path / ".local" / "share" / "babelcast"
    assert places.default_data_dir({"XDG_DATA_HOME": "relative"}) == at_home
    assert places.default_data_dir({}) == at_home


def test_a_chosen_directory_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was chosen is taken, ~ included."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.data_dir_or_default(Path("~/x")) == tmp_path / "x"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert places.data_dir_or_default(None) == Path("/data/babelcast")


def test_commands_to_try_name_only_what_is_not_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the defaults they are short; otherwise they carry the address and the directory."""
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    plain = serve.commands(places.DEFAULT_URL, Path("/data/babelcast"), program="babelcast")
    assert plain[1] == "babelcast listen CODE --to es"
    assert plain[0].endswith("jfk.wav --from en")
    other = serve.commands("ws://127.0.0.1:9000", Path("/my data"), program="babelcast")
    assert other[1] == "babelcast listen CODE --to es --url ws://127.0.0.1:9000"
    assert other[0].endswith("--from en --url ws://127.0.0.1:9000 --data-dir '/my data'")
    assert other[2] == "babelcast smoke ws://127.0.0.1:9000 --data-dir '/my data'"


def test_the_program_is_named_as_it_was_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On the path it is babelcast; called by a path it is that path; under Python it is babelcast."""
    program = tmp_path / "babelcast"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert places.program() == str(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert places.program() == "babelcast"
    monkeypatch.setattr(sys, "argv", ["/x/__main__.py"])
    assert places.program() == "babelcast"


def test_pages_are_as_encrypted_as_sockets() -> None:
    """Under the same name and port."""
    assert places.pages_at("ws://127.0.0.1:8080") == "http://127.0.0.1:8080"
    assert places.pages_at("wss://talks.example:8443") == "https://talks.example:8443"
