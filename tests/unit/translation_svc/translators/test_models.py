"""Models on this machine."""

from pathlib import Path

import pytest

from translation_svc.translators.base import Pair
from translation_svc.translators.models import installed_models


def _model(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_the_bundled_models_are_found_without_importing_them() -> None:
    """English and Portuguese, both ways."""
    found = installed_models(None)
    assert set(found) == {Pair("en", "pt"), Pair("pt", "en")}
    assert all(Path(path).is_file() for files in found.values() for path in (files.model, files.shortlist))


def test_a_models_folder_adds_to_them_and_wins(tmp_path: Path) -> None:
    """With shared or separate vocabularies; incomplete and unrelated folders are skipped."""
    _model(tmp_path / "en-de", "model.ende.bin", "vocab.ende.spm", "lex.50.50.ende.s2t.bin")
    _model(tmp_path / "en-ja", "model.enja.bin", "srcvocab.enja.spm", "trgvocab.enja.spm")
    _model(tmp_path / "en-pt", "model.enpt.bin", "vocab.enpt.spm")
    _model(tmp_path / "en-fr", "model.enfr.bin")
    _model(tmp_path / "whisper-base", "model.bin")
    found = installed_models(tmp_path)
    assert set(found) == {Pair("en", "pt"), Pair("pt", "en"), Pair("en", "de"), Pair("en", "ja")}
    assert found[Pair("en", "pt")].model.startswith(str(tmp_path))
    assert found[Pair("en", "ja")].target_vocabulary.endswith("trgvocab.enja.spm")
    assert found[Pair("en", "ja")].shortlist == ""


def test_nothing_installed_is_nothing_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not an exception."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert installed_models(tmp_path / "absent") == {}
