"""The glossary of a deployment, from a file in TOML or CSV.

    [[term]]                                        source,term,es,*
    source = "en"                                   en,Kubernetes,,Kubernetes
    term = "machine learning"                       en,machine learning,aprendizaje automático,
    translations = { es = "aprendizaje automático" }

`source` is the language that is spoken; without one a term counts in all. `*` stands for all target languages
that nothing else is given for.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from babelcast import languages
from babelcast.config import ConfigError
from babelcast.errors import InvalidLanguage
from translation_svc.glossary import ANY, Glossary, folded

MAX_TERMS = 5_000
MAX_TERM_CHARS = 100
MAX_FILE_BYTES = 4_000_000


class _Term(msgspec.Struct, forbid_unknown_fields=True):
    term: str
    translations: dict[str, str]
    source: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    term: list[_Term] = []


class _Flaw(Exception):
    """What is wrong with the file, for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class DeploymentGlossary:
    """Glossaries by spoken language; that of "" counts where there is none."""

    by_source: Mapping[str, Glossary]

    def spoken(self, source: str) -> Glossary:
        """The terms of a spoken language, with those of all languages."""
        return self.by_source.get(source) or self.by_source.get("") or Glossary()


def load(path: str) -> DeploymentGlossary:
    """The glossary of the file `path`; an empty one without a path.

    Raises: ConfigError that says which line or entry is wrong.
    """
    if not path:
        return DeploymentGlossary({})
    try:
        return _checked(_entries(path))
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError, csv.Error, _Flaw) as error:
        raise ConfigError(f"GLOSSARY_FILE: {path}: {error}") from error


def _entries(path: str) -> Iterator[tuple[str, _Term]]:
    """Entries, each with its place in the file."""
    readers: Mapping[str, Callable[[str], Iterator[tuple[str, _Term]]]] = {".toml": _toml, ".csv": _csv}
    reader = readers.get(Path(path).suffix.lower())
    if reader is None:
        raise _Flaw("its name must end with .toml or .csv")
    with Path(path).open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise _Flaw(f"it may have {MAX_FILE_BYTES:,} bytes")
    return reader(content.decode("utf-8-sig"))


def _toml(text: str) -> Iterator[tuple[str, _Term]]:
    for number, entry in enumerate(msgspec.toml.decode(text, type=_File).term, start=1):
        yield f"term {number}", entry


def _csv(text: str) -> Iterator[tuple[str, _Term]]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    head = [name.strip() for name in next(rows, [])]
    if "term" not in head:
        raise _Flaw("line 1: the first line names the columns, and one of them is `term`")
    if len(set(head)) < len(head):
        raise _Flaw("line 1: a column is there twice")
    for row in rows:
        place = f"line {rows.line_num}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(head):
            raise _Flaw(f"{place}: it has {len(row)} columns in place of {len(head)}")
        cells = {name: cell.strip() for name, cell in zip(head, row, strict=True)}
        term, source = cells.pop("term"), cells.pop("source", "")
        yield place, _Term(term, {name: cell for name, cell in cells.items() if cell}, source)


def _checked(entries: Iterator[tuple[str, _Term]]) -> DeploymentGlossary:
    found: dict[str, dict[str, dict[str, str]]] = {}
    places: dict[tuple[str, str], str] = {}
    for place, entry in entries:
        source = _language(entry.source, place) if entry.source else ""
        term = _text(entry.term, place)
        if not entry.translations:
            raise _Flaw(f"{place}: it has no translation")
        before = places.setdefault((source, folded(term)), place)
        if before != place:
            raise _Flaw(f"{place}: the term is also in {before}")
        if len(places) > MAX_TERMS:
            raise _Flaw(f"it may have {MAX_TERMS:,} terms")
        found.setdefault(source, {})[term] = {
            language if language == ANY else _language(language, place): _text(text, place)
            for language, text in entry.translations.items()
        }
    of_all = Glossary(found.get("", {}))
    return DeploymentGlossary(
        {source: Glossary(terms).over(of_all) if source else of_all for source, terms in found.items()}
    )


def _language(tag: str, place: str) -> str:
    try:
        return languages.normalise(tag, parameter="language")
    except InvalidLanguage as error:
        raise _Flaw(f"{place}: {tag!r} is no language code") from error


def _text(text: str, place: str) -> str:
    if not text.strip() or len(text) > MAX_TERM_CHARS:
        raise _Flaw(f"{place}: a term and its translations have 1 to {MAX_TERM_CHARS} characters")
    return text.strip()
