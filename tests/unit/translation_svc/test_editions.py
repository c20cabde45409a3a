"""What translations depend on."""

from pathlib import Path

from translation_svc.editions import Editions, files_of, fingerprints, of_program
from translation_svc.routes import Step
from translation_svc.translators.base import Pair
from translation_svc.translators.models import models_in

EN_DE, ES_PT = Pair("en", "de"), Pair("es", "pt")


def _machine(place: Path, *, model: bytes = b"m", rules: bytes = b"r") -> dict[Step, str]:
    folder = place / "en-de"
    folder.mkdir(parents=True)
    (folder / "model.ende.bin").write_bytes(model)
    (folder / "vocab.ende.spm").write_bytes(b"v")
    mode = place / "es-pt.mode"
    mode.write_text("lt-proc\n")
    (place / "rules").write_bytes(rules)
    models = {one.pair: one.files for one in models_in(place)}
    files = dict(files_of(models, {ES_PT: mode}))
    files[Step("apertium", ES_PT)] = (*files[Step("apertium", ES_PT)], place / "rules")
    return fingerprints(files)


def test_editions_are_of_the_data_not_of_its_place(tmp_path: Path) -> None:
    """Two machines with the same files agree; another model or other rules are another edition."""
    here = _machine(tmp_path / "here")
    assert here.keys() == {Step("bergamot", EN_DE), Step("apertium", ES_PT)}
    assert _machine(tmp_path / "there") == here
    other = _machine(tmp_path / "other", model=b"n")
    assert other[Step("bergamot", EN_DE)] != here[Step("bergamot", EN_DE)]
    assert other[Step("apertium", ES_PT)] == here[Step("apertium", ES_PT)]
    rules = _machine(tmp_path / "rules", rules=b"s")
    assert rules[Step("apertium", ES_PT)] != here[Step("apertium", ES_PT)]


def test_a_step_has_its_own_edition_or_its_engines() -> None:
    """Or none."""
    editions = Editions({"amazon": "our-terms"})
    editions.add({Step("bergamot", EN_DE): "5f"})
    assert editions.of(Step("bergamot", EN_DE)) == "5f"
    assert editions.of(Step("amazon", EN_DE)) == "our-terms"
    assert editions.of(Step("apertium", ES_PT)) == ""


def test_the_program_has_an_edition() -> None:
    """The same each time."""
    assert of_program() == of_program() != ""
