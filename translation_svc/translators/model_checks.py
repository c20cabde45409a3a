"""Whether models are what they were, by the SHA-256 of their files."""

import base64
import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

from translation_svc.translators.models import BUNDLE, Installed


class Verdict(Enum):
    """What a model's hashes tell."""

    VERIFIED = "verified"
    """As its publisher says."""
    UNCHANGED = "unchanged"
    """As when it was added, when nobody could be asked."""
    UNKNOWN = "unknown"
    """Nothing is known of it."""
    DAMAGED = "damaged"


def claimed(model: Installed) -> Verdict:
    """What is written down of a model, without looking at its files."""
    if model.record is None:
        return Verdict.VERIFIED if model.bundled else Verdict.UNKNOWN
    return Verdict.VERIFIED if model.record.checked else Verdict.UNCHANGED


def verify(model: Installed) -> tuple[Verdict, Sequence[str]]:
    """Compute the SHA-256 of a model's files; which are damaged, missing or not its own.

    Raises: OSError.
    """
    expected = model.record.files if model.record is not None else _package_hashes(model)
    if not expected:
        return Verdict.UNKNOWN, ()
    used = {Path(file).name for file in model.files.paths()}
    damaged = [
        name
        for name in sorted(used | expected.keys())
        if not (model.folder / name).is_file() or sha256(model.folder / name) != expected.get(name)
    ]
    if damaged:
        return Verdict.DAMAGED, damaged
    return claimed(model), ()


def _package_hashes(model: Installed) -> Mapping[str, str]:
    """The hashes of a bundled model's files by the package's own record."""
    if not model.bundled:
        return {}
    wanted = {Path(file): Path(file).name for file in model.files.paths()}
    return {
        wanted[place]: base64.urlsafe_b64decode(entry.hash.value + "=").hex()
        for entry in importlib.metadata.files(BUNDLE) or ()
        if entry.hash is not None and (place := Path(str(entry.locate()))) in wanted
    }


def sha256(file: Path) -> str:
    """The hash of a file, in hexadecimal digits. Raises: OSError."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
