"""What translations depend on besides engine, languages and text: data of the engine, by its fingerprint.

Within one process that does not change. It matters for the cache's table, which processes with other models
may share.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from translation_svc.routes import Step
from translation_svc.translators.apertium_stages import parse_stages
from translation_svc.translators.base import Pair
from translation_svc.translators.models import ModelFiles


class Editions:
    """The edition of every step: of its own data, else of its engine, else empty."""

    def __init__(self, of_engines: Mapping[str, str]) -> None:
        self._of_engines = of_engines
        self._of_steps: dict[Step, str] = {}

    def add(self, of_steps: Mapping[Step, str]) -> None:
        """Know these steps' editions."""
        self._of_steps |= of_steps

    def of(self, step: Step) -> str:
        """The edition of a step."""
        return self._of_steps.get(step) or self._of_engines.get(step.engine, "")


def files_of(
    models: Mapping[Pair, ModelFiles], modes: Mapping[Pair, Path]
) -> Mapping[Step, tuple[Path, ...]]:
    """The data that each step's translations come from."""
    return {
        **{
            Step("bergamot", pair): tuple(
                Path(file)
                for file in (model.model, model.source_vocabulary, model.target_vocabulary, model.shortlist)
                if file
            )
            for pair, model in models.items()
        },
        **{Step("apertium", pair): (mode, *_data(mode)) for pair, mode in modes.items()},
    }


def of_program() -> str:
    """The edition of what we do to texts ourselves before and after an engine."""
    here = Path(__file__).parent
    return _fingerprint((here / "repairs.py", here / "translators" / "apertium.py"))


def fingerprints(files: Mapping[Step, Iterable[Path]]) -> dict[Step, str]:
    """A short hash of each step's files, without their places. Reads them all: about 1 s.

    Raises: OSError.
    """
    return {step: _fingerprint(paths) for step, paths in files.items()}


def _fingerprint(paths: Iterable[Path]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _data(mode: Path) -> list[Path]:
    stages = parse_stages(mode.read_text(encoding="utf-8"))
    return [Path(word) for stage in stages for word in stage[1:] if word.startswith("/")]
