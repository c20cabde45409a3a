"""`babelcast models`."""

import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner

from babelcast.config import ConfigError
from cli import models
from cli.main import app
from cli.models import Shelf
from tests.unit.cli.page import Page
from translation_svc.translators.base import Pair
from translation_svc.translators.model_loader import REGISTRY

EN_DE = Pair("en", "de")
runner = CliRunner()
FILES = ("model.ende.intgemm.alphas.bin", "vocab.ende.spm", "lex.50.50.ende.s2t.bin")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a model from English into German, in the loader's layout."""
    folder = tmp_path / "copy"
    (folder / "en-de").mkdir(parents=True)
    for name in FILES:
        (folder / "en-de" / name).write_bytes(name.encode() * 100)
    return folder


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """No internet, and Apertium's modes from Spanish into Portuguese alone."""
    data = tmp_path / "es-pt.bin"
    data.write_bytes(b"x" * 1_000_000)
    modes = tmp_path / "modes"
    modes.mkdir()
    (modes / "es-pt.mode").write_text(f"lt-proc {data}\n")
    monkeypatch.setattr("shutil.which", lambda name, **_: f"/usr/bin/{name}")
    monkeypatch.setenv(REGISTRY, "http://127.0.0.1:1/records")
    return {"APERTIUM_MODES_DIR": str(modes), "MODELS_DIR": str(tmp_path / "models")}


@pytest.fixture
def shelf(environ: dict[str, str], tmp_path: Path) -> Shelf:
    """What the commands work with."""
    return Shelf.open(environ, tmp_path)


def test_the_list_has_every_model_and_every_route(shelf: Shelf, console: Console, page: Page) -> None:
    """With engine, size, origin, checksums and, where it was measured, quality."""
    assert models.show(shelf, console, as_json=False) == 0
    lines = page.getvalue().splitlines()
    assert lines[0] == f"Models are kept in {shelf.store.folder}"
    assert any(line.startswith("  en → pt  bergamot    22.4 MB  verified") for line in lines)
    assert any(line.startswith("  es → pt  apertium     1.0 MB  package    Debian") for line in lines)
    assert lines[lines.index("Routes") + 1 :] == [
        "  en → pt  bergamot en-pt",
        "  es → en  apertium es-pt, bergamot pt-en  (chrF 53)",
        "  es → pt  apertium es-pt",
        "  pt → en  bergamot pt-en  (chrF 69)",
    ]


def test_the_list_for_programs(shelf: Shelf, console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as JSON."""
    models.show(shelf, console, as_json=True)
    listing = json.loads(capsys.readouterr().out)
    assert listing == json.loads(msgspec.json.encode(models.survey(shelf)))
    route = listing["routes"][1]
    assert (route["source"], route["target"], route["cost"], route["chrf"]) == ("es", "en", 1.9, 53.0)


async def test_a_model_that_is_added_opens_directions(
    shelf: Shelf, console: Console, page: Page, copy: Path
) -> None:
    """Also those of which it is only a part; removed, they are gone."""
    assert await models.add(shelf, EN_DE, console, copy=copy) == 0
    assert "✓ en-de: 0.0 MB, unchanged" in page.getvalue()
    assert "New to be heard: German." in page.getvalue()
    steps = {(line.source, line.target): line.steps for line in models.survey(shelf).routes}
    assert steps["en", "de"] == ("bergamot en-de",)
    assert steps["es", "de"] == ("apertium es-pt", "bergamot pt-en", "bergamot en-de")
    await models.add(shelf, EN_DE, console, copy=copy)
    assert "A service uses them when it starts again." in page.getvalue()
    assert models.remove(shelf, EN_DE, console) == 0
    assert not any(line.target == "de" for line in models.survey(shelf).routes)


async def test_verifying(shelf: Shelf, console: Console, page: Page, copy: Path) -> None:
    """A line each; a damaged or incomplete one is a failure, with how to mend it."""
    await models.add(shelf, EN_DE, console, copy=copy)
    assert models.check(shelf, None, console) == 0
    assert models.check(shelf, EN_DE, console) == 0
    place = shelf.store.folder / "en-de"
    (place / FILES[0]).write_bytes(b"[x]")
    assert models.check(shelf, EN_DE, console) == 1
    assert f"✗ en-de: damaged: {FILES[0]}; babelcast models add en-de mends it" in page.getvalue()
    assert models.check(shelf, Pair("en", "pt"), console) == 0
    (place / FILES[0]).unlink()
    assert models.check(shelf, None, console) == 1
    assert page.getvalue().splitlines()[-1].startswith("✗ en-de: lacks files")


def test_one_without_checksums_is_no_failure(
    environ: dict[str, str], console: Console, page: Page, copy: Path
) -> None:
    """It was put there by hand."""
    shelf = Shelf.open({**environ, "MODELS_DIR": str(copy)}, copy)
    assert models.check(shelf, EN_DE, console) == 0
    assert "? en-de: no checksums are known" in page.getvalue()
    line = next(line for line in models.survey(shelf).models if line.target == "de")
    assert (line.state, line.origin) == ("unknown", str(copy / "en-de"))


@pytest.mark.parametrize("direction", ["de", "en-en", "en_de", "en-de-fr", ""])
def test_a_direction_is_two_languages(direction: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(ConfigError, match="SOURCE-TARGET"):
        models.parse(direction)
    assert models.parse("EN-de") == EN_DE


def test_the_commands(environ: dict[str, str], copy: Path, tmp_path: Path) -> None:
    """From the shell: exit codes, and one line about what went wrong."""

    def run(*words: str) -> tuple[int, str]:
        done = runner.invoke(app, ["models", *words, "--data-dir", str(tmp_path)], env=environ)
        return done.exit_code, done.output

    assert run("list")[0] == 0
    code, said = run("add", "en-de")
    assert (code, "cannot be reached" in said, said.count("\n")) == (1, True, 1)
    assert run("add", "en-de", "--from", str(copy))[0] == 0
    assert run("verify")[0] == 0
    assert run("verify", "en-fr")[0] == 1
    assert run("remove", "en-de")[0] == 0
    code, said = run("remove", "en-de")
    assert (code, "en-de is not in" in said) == (1, True)


def test_models_are_in_the_data_directory_unless_said_otherwise(tmp_path: Path) -> None:
    """Where `babelcast serve` finds them too."""
    assert Shelf.open({}, tmp_path).store.folder == tmp_path / "models"
