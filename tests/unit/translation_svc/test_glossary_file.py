"""Terms of a deployment."""

from pathlib import Path

import pytest

from babelcast.config import ConfigError
from translation_svc.glossary import Glossary
from translation_svc.glossary_file import MAX_FILE_BYTES, MAX_TERMS, load

TOML = """
[[term]]
source = "en"
term = "Machine Learning"
translations = { es = "aprendizaje automático", "pt-BR" = "aprendizado de máquina" }

[[term]]
term = "Kubernetes"
translations = { "*" = "Kubernetes" }
"""
CSV = """source,term,es,pt-BR,*
en,Machine Learning,aprendizaje automático,aprendizado de máquina,

,Kubernetes,,,Kubernetes
"""


def _file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "text"), [("terms.toml", TOML), ("terms.csv", CSV), ("X.CSV", "\ufeff" + CSV)]
)
def test_both_formats_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    """Terms of a spoken language come with those of all."""
    glossary = load(_file(tmp_path, name, text))
    assert glossary.spoken("en").terms == {
        "Machine Learning": {"es": "aprendizaje automático", "pt": "aprendizado de máquina"},
        "Kubernetes": {"*": "Kubernetes"},
    }
    assert glossary.spoken("fr").terms == {"Kubernetes": {"*": "Kubernetes"}}


def test_without_a_file_there_are_no_terms() -> None:
    """And with a file for English alone, none in French."""
    assert load("").spoken("en") == Glossary()


@pytest.mark.parametrize(
    ("name", "text", "flaw"),
    [
        ("a.txt", "", "must end with .toml or .csv"),
        ("a.toml", "[[term]\n", "a.toml"),
        ("a.toml", '[[term]]\nterm = "a"\n', "translations"),
        ("a.toml", '[[term]]\nterm = "a"\ntranslations = {}\n', "term 1: it has no translation"),
        ("a.toml", '[[term]]\nterm = "a"\ntranslation = {}\n', "translation"),
        ("a.csv", "", "line 1: the first line names the columns"),
        ("a.csv", "term,es,es\n", "line 1: a column is there twice"),
        ("a.csv", "term,es\na,b,c\n", "line 2: it has 3 columns in place of 2"),
        ("a.csv", "term,es\n,b\n", "line 2: a term and its translations have 1 to 100 characters"),
        ("a.csv", f"term,es\na,{'b' * 101}\n", "line 2: a term and its translations have"),
        ("a.csv", "term,Spanish!\na,b\n", "line 2: 'Spanish!' is no language code"),
        ("a.csv", "source,term,es\n1,a,b\n", "line 2: '1' is no language code"),
        ("a.csv", 'term,es\n"New  York",b\nnew york,c\n', "line 3: the term is also in line 2"),
        (
            "a.csv",
            "term,es\n" + "".join(f"t{n},x\n" for n in range(MAX_TERMS + 1)),
            "it may have 5,000 terms",
        ),
        ("a.csv", "term,es\na," + "b" * MAX_FILE_BYTES, "it may have 4,000,000 bytes"),
    ],
)
def test_flaws_are_told_with_their_place(tmp_path: Path, name: str, text: str, flaw: str) -> None:
    """At the start of the service, not in the middle of a talk."""
    with pytest.raises(ConfigError, match=r"^GLOSSARY_FILE: ") as error:
        load(_file(tmp_path, name, text))
    assert flaw in str(error.value)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A file that is not there, or is no text."""
    with pytest.raises(ConfigError, match="No such file"):
        load(str(tmp_path / "none.csv"))
    (tmp_path / "latin.csv").write_bytes(b"term,es\n\xe9,a\n")
    with pytest.raises(ConfigError, match="utf-8"):
        load(str(tmp_path / "latin.csv"))
