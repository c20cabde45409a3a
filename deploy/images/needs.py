"""What each image needs of the distributions that pyproject.toml names: those that its code imports.

python deploy/images/needs.py SERVICE            requirements, one a line, for `uv pip compile`
python deploy/images/needs.py SERVICE --without  distributions to leave out
python deploy/images/needs.py SERVICE --split LOCK LIBRARIES MODELS
                                                 the lock in two: libraries, and what is data
"""

import ast
import functools
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = frozenset(
    {"babelcast", "bench", "cli", "gateway", "session_svc", "transcription_svc", "translation_svc"}
)
# Imported for types alone, and not there when the program runs.
_TYPES_ONLY = frozenset({"_typeshed"})


@dataclass(frozen=True, slots=True)
class Image:
    """An image's part of images.toml."""

    code: tuple[str, ...]
    models: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    """Modules from which on imports are followed; all of the code but babelcast when there are none."""
    lazy: tuple[str, ...] = ()
    """Modules of which only those imports are followed that are done at once."""


def images() -> dict[str, Image]:
    """All images of Python code, by the name of their target."""
    read = tomllib.loads((ROOT / "deploy/images/images.toml").read_text())
    return {
        name: Image(**{key: tuple(values) for key, values in table.items()}) for name, table in read.items()
    }


def modules(image: Image) -> set[str]:
    """All modules of ours that an image may import, first to last."""
    todo = [*image.roots] or [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in image.code
        if folder != "babelcast"
        for path in (ROOT / folder).rglob("*.py")
    ]
    todo.append("babelcast.health")
    found: set[str] = set()
    while todo:
        name = todo.pop()
        source = _file(name)
        if source is None or name in found:
            continue
        found.add(name)
        within = _imports(source, lazily=name not in image.lazy)
        todo.extend(part for part in [name.rpartition(".")[0], *within] if part)
    return found


def imported(image: Image) -> set[str]:
    """The distributions of others that an image's code imports, wherever it does so, by normalised name."""
    tops = _distributions()
    found: set[str] = set()
    for name in modules(image):
        source = _file(name)
        assert source is not None  # noqa: S101 - `modules` has found it
        for module in _imports(source, lazily=name not in image.lazy):
            top = module.partition(".")[0]
            if top not in OURS | sys.stdlib_module_names | _TYPES_ONLY:
                found.update(_owners(module, tops.get(top, ())))
    return found


def requirements(image: Image) -> list[str]:
    """What an image asks for: as it stands in pyproject.toml, or by its name where others bring it along."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = (imported(image) | set(image.models)) - set(image.without)
    named = [line for line in project["dependencies"] if _name(line) in wanted]
    return [*named, *sorted(wanted - {_name(line) for line in named})]


def split(lock: str, models: Sequence[str]) -> tuple[str, str]:
    """A lock's blocks: those of libraries, and those of models."""
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    data = [block for block in blocks if block and _name(block) in models]
    return "".join(block for block in blocks if block not in data), "".join(data)


@functools.cache
def _distributions() -> Mapping[str, Sequence[str]]:
    return importlib.metadata.packages_distributions()


@functools.cache
def _files_of(distribution: str) -> frozenset[str]:
    return frozenset(map(str, importlib.metadata.files(distribution) or ()))


def _owners(module: str, distributions: Iterable[str]) -> set[str]:
    """Whose a module is: of distributions that share a name, such as google, those with files in it."""
    names = set(distributions)
    if len(names) == 1:
        return {_name(name) for name in names}
    inside = module.replace(".", "/")
    return {
        _name(name)
        for name in names
        if any(file.startswith((f"{inside}/", f"{inside}.")) for file in _files_of(name))
    }


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement  # noqa: S101 - it begins with a name
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _file(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


@functools.cache
def _imports(source: Path, *, lazily: bool) -> tuple[str, ...]:
    """Modules that a file imports, or names in them, which are modules perhaps; with those that it imports
    when a function is called.
    """
    tree = ast.parse(source.read_text())
    return tuple(_named(ast.walk(tree) if lazily else tree.body))


def _named(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def main(arguments: Sequence[str]) -> None:
    """See the module's docstring."""
    image = images()[arguments[0]]
    match arguments[1:]:
        case []:
            print("\n".join(requirements(image)))
        case ["--without"]:
            print("\n".join(image.without))
        case ["--split", lock, libraries, models]:
            library_text, model_text = split(Path(lock).read_text(), image.models)
            Path(libraries).write_text(library_text)
            if image.models:
                Path(models).write_text(model_text)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
