"""The folder of fetched models: adding, removing and verifying them."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec

from translation_svc.translators.base import Pair
from translation_svc.translators.model_checks import sha256
from translation_svc.translators.model_loader import Fetched, Outcome
from translation_svc.translators.models import (
    BUNDLE,
    RECORD,
    Installed,
    Record,
    bundled_models,
    folder_name,
    models_in,
    registry_code,
)
from translation_svc.worker import environment

FETCH_TIMEOUT_S: Final = 1800.0
_STAGING = ".adding-"
_DATA = ("*.bin", "*.spm")


class ModelError(Exception):
    """A model cannot be added, removed or found; the message says why, and what to do."""


class RegistryAway(ModelError):
    """The registry cannot be asked."""


class Loader(Protocol):
    """Fetches the models of a direction into a folder."""

    async def fetch(self, folder: Path, source: str, target: str) -> Outcome:
        """Raises: ModelError when it cannot even try."""
        ...


class FxtranslateLoader:
    """fxtranslate's own loader, in a process of its own."""

    async def fetch(self, folder: Path, source: str, target: str) -> Outcome:
        """Progress goes to our stderr if that is a terminal."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "translation_svc.translators.model_loader",
            str(folder),
            source,
            target,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=None if sys.stderr.isatty() else asyncio.subprocess.DEVNULL,
            env=environment(),
        )
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                said, _ = await process.communicate()
            return msgspec.json.decode(said, type=Outcome)
        except TimeoutError as error:
            raise ModelError(f"it was not fetched within {FETCH_TIMEOUT_S / 60:.0f} minutes") from error
        except msgspec.DecodeError as error:
            raise ModelError("fxtranslate's loader ended unexpectedly") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


class ModelStore:
    """Models in `folder`, one folder each, in the layout of fxtranslate's loader.

    A model is put together beside its place and moved there when it is complete, so that a service never
    finds half of one. One process at a time changes the folder.
    """

    def __init__(self, folder: Path, *, loader: Loader | None = None) -> None:
        self.folder = folder
        self._loader = loader or FxtranslateLoader()

    def installed(self) -> list[Installed]:
        """All models that a service would find, by direction: bundled ones where the folder has no other."""
        found = {one.pair: one for one in bundled_models()} | {
            one.pair: one for one in models_in(self.folder)
        }
        return [found[pair] for pair in sorted(found)]

    async def add(self, pair: Pair, *, copy: Path | None = None) -> list[Pair]:
        """Fetch the models of a direction, or check those that are there and fetch what is damaged.

        `copy` is a folder with models in the same layout, whose files are taken where they are as the
        registry has them. If the registry cannot be asked, they are taken as they are.

        Raises: ModelError, OSError.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone(), self._staging() as staging:
            seeded = _seed(staging, pair, copy or self.folder)
            if copy is not None and not seeded:
                raise ModelError(f"{copy} has no folder {folder_name(pair)} with a model")
            outcome = await self._loader.fetch(staging, *map(registry_code, (pair.source, pair.target)))
            if outcome.problem == "unreachable" and copy is not None:
                added = [_unchecked(staging, one, copy) for one in seeded]
            elif outcome.problem:
                raise _refusal(outcome, pair)
            else:
                added = [_checked(staging, one, outcome.registry) for one in outcome.models]
            for one in added:
                self._place(staging, one)
        return added

    def remove(self, pair: Pair) -> int:
        """Remove a model; returns how many bytes that frees. Raises: ModelError, OSError."""
        if not self.folder.is_dir():
            raise ModelError(f"there is no folder {self.folder}")
        with self._alone(), self._staging() as staging:
            for one in models_in(self.folder):
                if one.pair == pair:
                    freed = one.size_bytes
                    one.folder.rename(staging / one.folder.name)
                    return freed
        if any(one.pair == pair for one in bundled_models()):
            raise ModelError(f"{_name(pair)} comes with the package {BUNDLE} and cannot be removed")
        raise ModelError(f"{_name(pair)} is not in {self.folder}")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ModelError(f"another process changes {self.folder}; try again later") from error
            yield
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def _staging(self) -> Iterator[Path]:
        """A folder on the same disk, which no service looks into; what earlier ones left is cleaned up."""
        for left in self.folder.glob(f"{_STAGING}*"):
            shutil.rmtree(left, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.folder))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _place(self, staging: Path, pair: Pair) -> None:
        """Put a complete model where services look, in the place of one that was there."""
        place, old = self.folder / folder_name(pair), staging / f"old-{folder_name(pair)}"
        new = staging / folder_name(pair)
        if not any(one.pair == pair for one in models_in(staging)):
            raise ModelError(f"{_name(pair)} is not complete")
        if place.exists():
            place.rename(old)
        try:
            new.rename(place)
        except OSError:
            if old.exists():
                old.rename(place)
            raise


def _seed(staging: Path, pair: Pair, source: Path) -> list[Pair]:
    """Copy what `source` has of the direction, or both halves of the way over English; returns which."""
    have = {one.pair: one for one in models_in(source)}
    halves = [Pair(pair.source, "en"), Pair("en", pair.target)]
    wanted = [pair] if pair in have else halves if all(half in have for half in halves) else []
    for one in wanted:
        place = staging / folder_name(one)
        place.mkdir()
        for file in (file for pattern in _DATA for file in have[one].folder.glob(pattern)):
            shutil.copyfile(file, place / file.name)
    return wanted


def _checked(staging: Path, fetched: Fetched, registry: str) -> Pair:
    """Write down what the registry said of a model that is as it has it."""
    # The loader names folders by the registry's codes.
    theirs = staging / f"{fetched.source}-{fetched.target}"
    model = next((one for one in models_in(staging) if one.folder == theirs), None)
    if model is None:
        raise ModelError(f"{fetched.source}-{fetched.target} has no files that can be used")
    folder = theirs.rename(staging / folder_name(model.pair))
    _write(
        folder,
        Record(
            origin=f"Mozilla, version {fetched.version}",
            registry=registry,
            added=_today(),
            checked=True,
            files=fetched.files,
        ),
    )
    return model.pair


def _unchecked(staging: Path, pair: Pair, copy: Path) -> Pair:
    """Write down the hashes of a copied model, which must be those of its own record, if it has one."""
    folder = staging / folder_name(pair)
    found = {file.name: sha256(file) for file in sorted(folder.iterdir())}
    record = next((one.record for one in models_in(copy) if one.pair == pair), None)
    if record is not None:
        damaged = [name for name, digest in record.files.items() if found.get(name) != digest]
        if damaged:
            raise ModelError(f"{_name(pair)} in {copy} is damaged: {', '.join(damaged)}")
        _write(folder, msgspec.structs.replace(record, added=_today()))
    else:
        _write(
            folder,
            Record(origin=f"copied from {copy}", registry="", added=_today(), checked=False, files=found),
        )
    return pair


def _refusal(outcome: Outcome, pair: Pair) -> ModelError:
    if outcome.problem == "unreachable":
        return RegistryAway(
            f"the registry of models cannot be reached ({outcome.detail}). Without internet, copy the folder "
            f"{folder_name(pair)} from a machine that has it, and say --from with the folder around it."
        )
    if outcome.problem == "unknown":
        there = ", ".join(outcome.available) or "nothing"
        return ModelError(f"the registry has no model {_name(pair)}, nor a way over English. It has: {there}")
    return ModelError(f"{_name(pair)} was not fetched: {outcome.detail}")


def _write(folder: Path, record: Record) -> None:
    (folder / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)))


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _name(pair: Pair) -> str:
    return f"{pair.source}-{pair.target}"
