"""The process that fetches models with fxtranslate's own loader: `… FOLDER SOURCE TARGET`.

It prints one line of JSON, an Outcome. The loader asks Mozilla's registry (or the one at
FXTRANSLATE_RECORDS_URL) which files a direction has, keeps those of FOLDER/source-target whose SHA-256 is as
the registry has it, and fetches the others. Progress goes to stderr.
"""

import hashlib
import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

REGISTRY: Final = "FXTRANSLATE_RECORDS_URL"
"""Environment variable of the loader: another registry, with answers like Mozilla's."""

Problem = Literal["", "unreachable", "unknown", "failed"]


class Fetched(msgspec.Struct, frozen=True):
    """One direction, as the registry names it."""

    source: str
    target: str
    version: str
    files: dict[str, str]
    """SHA-256 by name, which the registry has too."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of it: models (two where there is no direct one), or a problem."""

    problem: Problem = ""
    detail: str = ""
    registry: str = ""
    models: tuple[Fetched, ...] = ()
    available: tuple[str, ...] = ()
    """With `unknown`: the directions that there are."""


_Record: TypeAlias = Mapping[str, str | None]


class Discovery(Protocol):
    """What is used of `fxtranslate.discovery`. All raise ValueError."""

    def records_url(self) -> str:
        """Where the registry is."""
        ...

    def fetch_records_body(self) -> str:
        """The registry's records."""
        ...

    def parse_records(self, body: str) -> Sequence[_Record]:
        """The files in them."""
        ...

    def model_pairs(self, body: str) -> Sequence[tuple[str, str]]:
        """The directions in them that this version can use."""
        ...

    def resolve_route(self, body: str, source: str, target: str) -> Mapping[str, str]:
        """One direct direction, or two over a pivot."""
        ...

    def add_models(self, source: str, target: str, folder: str, progress: bool) -> Mapping[str, str]:
        """Fetch what lacks."""
        ...


def fetch(discovery: Discovery, folder: Path, source: str, target: str, *, progress: bool) -> Outcome:
    """Have the models of a direction in `folder`."""
    registry = discovery.records_url()
    try:
        body = discovery.fetch_records_body()
    except ValueError as error:
        return Outcome("unreachable", _once(error), registry)
    try:
        route = discovery.resolve_route(body, source, target)
    except ValueError as error:
        available = sorted("-".join(pair) for pair in discovery.model_pairs(body))
        return Outcome("unknown", _once(error), registry, available=tuple(available))
    try:
        discovery.add_models(source, target, str(folder), progress)
    except ValueError as error:
        return Outcome("failed", _once(error), registry)
    records = discovery.parse_records(body)
    models = tuple(_described(folder, records, *leg) for leg in _legs(route))
    return Outcome(registry=registry, models=models)


def _once(error: ValueError) -> str:
    """What the loader says; it names addresses twice."""
    return re.sub(r"(\S+): \1: ", r"\1: ", str(error))


def _legs(route: Mapping[str, str]) -> list[tuple[str, str]]:
    ends = (route["src"], *([route["pivot"]] if route["kind"] == "pivot" else []), route["trg"])
    return list(itertools.pairwise(ends))


def _described(folder: Path, records: Sequence[_Record], source: str, target: str) -> Fetched:
    """What lies in the direction's folder; what the registry does not have is removed."""
    known = {
        (record["name"], record["decompressedHash"]): record["version"] or ""
        for record in records
        if (record["sourceLanguage"], record["targetLanguage"]) == (source, target)
    }
    files: dict[str, str] = {}
    version = ""
    for path in sorted((folder / f"{source}-{target}").iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if (path.name, digest) in known:
            files[path.name] = digest
            version = max(version, known[path.name, digest])
        else:
            path.unlink()
    return Fetched(source, target, version, files)


def main(arguments: Sequence[str]) -> None:
    """Fetch, and tell what came of it."""
    from fxtranslate import discovery  # only this process and the engine's may load it

    folder, source, target = arguments
    outcome = fetch(discovery, Path(folder), source, target, progress=sys.stderr.isatty())
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
