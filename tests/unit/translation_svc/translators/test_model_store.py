"""Fetching, copying, removing and verifying models: the real loader with a registry on this machine."""

import asyncio
import fcntl
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from translation_svc.translators import model_loader, model_store
from translation_svc.translators.base import Pair
from translation_svc.translators.model_checks import Verdict, claimed, verify
from translation_svc.translators.model_loader import REGISTRY, Outcome
from translation_svc.translators.model_store import ModelError, ModelStore, RegistryAway
from translation_svc.translators.models import RECORD, incomplete_in, installed_models, models_in

EN_DE, ES_EN = Pair("en", "de"), Pair("es", "en")
VERSION = "3.0"


def _files(source: str, target: str, content: str = "") -> dict[str, bytes]:
    """A model as the registry publishes it, in small."""
    both = f"{source}{target}"
    names = (f"model.{both}.intgemm.alphas.bin", f"vocab.{both}.spm", f"lex.50.50.{both}.s2t.bin")
    return {name: f"{name} {content}".encode() for name in names}


def _lay_out(folder: Path, *directions: str, content: str = "") -> Path:
    for direction in directions:
        place = folder / direction
        place.mkdir(parents=True)
        source, target = direction.split("-", 1)
        for name, data in _files(source, target, content).items():
            (place / name).write_bytes(data)
    return folder


def _record(source: str, target: str, name: str, data: bytes) -> Mapping[str, object]:
    return {
        "name": name,
        "fileType": {"m": "model", "v": "vocab", "l": "lex"}[name[0]],
        "sourceLanguage": source,
        "targetLanguage": target,
        "version": VERSION,
        "architecture": "tiny",
        "decompressedHash": hashlib.sha256(data).hexdigest(),
        "attachment": {"location": f"models/{name}.zst", "hash": "", "size": 1, "filename": name},
    }


@pytest.fixture
async def registry(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A registry that has models from English into German and Chinese, and from Spanish into English."""
    records = [
        _record(source, target, name, data)
        for source, target in (("en", "de"), ("es", "en"), ("en", "zh-Hans"))
        for name, data in _files(source, target).items()
    ]

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"data": records})

    app = web.Application()
    app.router.add_get("/records", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/records"
    monkeypatch.setenv(REGISTRY, url)
    yield url
    await runner.cleanup()


@pytest.fixture
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No internet."""
    monkeypatch.setenv(REGISTRY, "http://127.0.0.1:1/records")


class FakeLoader:
    """Puts files where the real one would, or fails."""

    def __init__(self, files: Mapping[str, bytes] | None = None, outcome: Outcome | None = None) -> None:
        self.files = files or {}
        self.outcome = outcome
        self.gate: asyncio.Event | None = None
        self.began = asyncio.Event()

    async def fetch(self, folder: Path, source: str, target: str) -> Outcome:
        self.began.set()
        place = folder / f"{source}-{target}"
        place.mkdir(exist_ok=True)
        for name, data in self.files.items():
            (place / name).write_bytes(data)
        if self.gate is not None:
            await self.gate.wait()
        if self.outcome is not None:
            return self.outcome
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}
        model = model_loader.Fetched(source, target, VERSION, hashes)
        return Outcome(registry="fake", models=(model,))


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


async def test_a_copy_is_held_to_the_registry(tmp_path: Path, registry: str) -> None:
    """The loader finds the copied files as published, so it needs to fetch none; that is written down."""
    store = ModelStore(tmp_path / "models")
    assert await store.add(EN_DE, copy=_lay_out(tmp_path / "copy", "en-de")) == [EN_DE]
    model = next(one for one in store.installed() if one.pair == EN_DE)
    assert model.record is not None
    assert (model.record.origin, model.record.registry) == (f"Mozilla, version {VERSION}", registry)
    assert model.record.files.keys() == _files("en", "de").keys()
    assert verify(model) == (Verdict.VERIFIED, ())
    assert EN_DE in installed_models(tmp_path / "models")
    assert _left(tmp_path / "models") == ["en-de"]


async def test_a_way_over_english_is_two_models(tmp_path: Path, registry: str) -> None:
    """As the registry resolves it."""
    store = ModelStore(tmp_path / "models")
    copy = _lay_out(tmp_path / "copy", "en-de", "es-en")
    assert await store.add(Pair("es", "de"), copy=copy) == [ES_EN, EN_DE]
    assert _left(tmp_path / "models") == ["en-de", "es-en"]


async def test_chinese_is_the_registrys_simplified_chinese(tmp_path: Path, registry: str) -> None:
    """Under our code."""
    store = ModelStore(tmp_path / "models")
    added = await store.add(Pair("en", "zh"), copy=_lay_out(tmp_path / "copy", "en-zh-Hans"))
    assert added == [Pair("en", "zh")]
    assert _left(tmp_path / "models") == ["en-zh-Hans"]
    assert Pair("en", "zh") in installed_models(tmp_path / "models")


async def test_a_model_that_is_there_is_checked_again(tmp_path: Path, registry: str) -> None:
    """One that was put there by hand gets its record."""
    store = ModelStore(_lay_out(tmp_path / "models", "en-de"))
    assert claimed(next(models_in(store.folder))) is Verdict.UNKNOWN
    assert await store.add(EN_DE) == [EN_DE]
    assert verify(next(models_in(store.folder)))[0] is Verdict.VERIFIED


async def test_a_direction_that_nobody_has(tmp_path: Path, registry: str) -> None:
    """The refusal says what there is."""
    with pytest.raises(ModelError, match=r"no model en-tlh.*It has: en-de, en-zh-Hans, es-en"):
        await ModelStore(tmp_path / "models").add(Pair("en", "tlh"))
    assert _left(tmp_path / "models") == []


async def test_without_internet_nothing_is_fetched(tmp_path: Path, no_registry: None) -> None:
    """The refusal says what to do, and what was there stays."""
    store = ModelStore(_lay_out(tmp_path / "models", "en-de"))
    with pytest.raises(RegistryAway, match="--from"):
        await store.add(EN_DE)
    assert _left(tmp_path / "models") == ["en-de"]


async def test_without_internet_a_copy_is_taken_as_it_is(tmp_path: Path, no_registry: None) -> None:
    """That nobody checked it is written down; changes from then on are found."""
    store = ModelStore(tmp_path / "models")
    await store.add(EN_DE, copy=_lay_out(tmp_path / "copy", "en-de"))
    model = next(models_in(store.folder))
    assert verify(model) == (Verdict.UNCHANGED, ())
    (model.folder / "model.ende.intgemm.alphas.bin").write_bytes(b"changed")
    assert verify(model) == (Verdict.DAMAGED, ["model.ende.intgemm.alphas.bin"])


async def test_a_checked_copy_stays_checked_without_internet(
    tmp_path: Path, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record travels with it, and must fit its files."""
    first = ModelStore(tmp_path / "first")
    await first.add(EN_DE, copy=_lay_out(tmp_path / "copy", "en-de"))
    monkeypatch.setenv(REGISTRY, "http://127.0.0.1:1/records")
    second = ModelStore(tmp_path / "second")
    await second.add(EN_DE, copy=first.folder)
    assert verify(next(models_in(second.folder)))[0] is Verdict.VERIFIED
    (first.folder / "en-de" / "vocab.ende.spm").write_bytes(b"changed")
    third = ModelStore(tmp_path / "third")
    with pytest.raises(ModelError, match=r"damaged: vocab\.ende\.spm"):
        await third.add(EN_DE, copy=first.folder)
    assert _left(third.folder) == []


@pytest.mark.parametrize("direction", ["en-fr", "es-fr"])
async def test_a_copy_that_has_not_got_it(tmp_path: Path, direction: str) -> None:
    """Half of a way over English is none."""
    copy = _lay_out(tmp_path / "copy", "en-de", "es-en")
    with pytest.raises(ModelError, match="no folder"):
        await ModelStore(tmp_path / "models").add(Pair(*direction.split("-")), copy=copy)


async def test_a_damaged_model_is_mended(tmp_path: Path) -> None:
    """The new one takes the place of the old."""
    store = ModelStore(
        _lay_out(tmp_path / "models", "en-de", content="old"), loader=FakeLoader(_files("en", "de", "new"))
    )
    await store.add(EN_DE)
    assert (store.folder / "en-de" / "vocab.ende.spm").read_bytes() == b"vocab.ende.spm new"
    assert _left(store.folder) == ["en-de"]


@pytest.mark.parametrize(
    ("loader", "why"),
    [
        (FakeLoader(outcome=Outcome("failed", "the connection broke")), "the connection broke"),
        (FakeLoader({"model.ende.bin": b"x"}), "no files that can be used"),
    ],
)
async def test_what_could_not_be_fetched_whole_changes_nothing(
    tmp_path: Path, loader: FakeLoader, why: str
) -> None:
    """The old model stays, nothing is left beside it."""
    store = ModelStore(_lay_out(tmp_path / "models", "es-en"), loader=loader)
    with pytest.raises(ModelError, match=why):
        await store.add(EN_DE)
    assert _left(store.folder) == ["es-en"]


async def test_a_fetch_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    """Meanwhile services see the old model, and no other process may change the folder."""
    loader = FakeLoader(_files("en", "de", "new"))
    loader.gate = asyncio.Event()
    store = ModelStore(_lay_out(tmp_path / "models", "en-de", content="old"), loader=loader)
    adding = asyncio.create_task(store.add(EN_DE))
    await loader.began.wait()
    assert set(installed_models(store.folder)) >= {EN_DE}
    assert [one.pair for one in models_in(store.folder)] == [EN_DE]
    with pytest.raises(ModelError, match="another process"):
        ModelStore(store.folder).remove(EN_DE)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert _left(store.folder) == ["en-de"]
    assert (store.folder / "en-de" / "vocab.ende.spm").read_bytes() == b"vocab.ende.spm old"


async def test_what_a_killed_process_left_is_cleaned_up(tmp_path: Path) -> None:
    """By the next one that changes the folder; until then no service minds it."""
    _lay_out(tmp_path / "models" / ".adding-x", "en-de")
    assert list(models_in(tmp_path / "models")) == []
    store = ModelStore(tmp_path / "models", loader=FakeLoader(_files("en", "de")))
    await store.add(EN_DE)
    assert _left(store.folder) == ["en-de"]


async def test_when_the_new_one_cannot_be_placed_the_old_one_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, for one."""
    store = ModelStore(
        _lay_out(tmp_path / "models", "en-de", content="old"), loader=FakeLoader(_files("en", "de", "new"))
    )
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if ".adding-" in str(self.parent) and self.name == "en-de" and target.parent == store.folder:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="No space"):
        await store.add(EN_DE)
    assert (store.folder / "en-de" / "vocab.ende.spm").read_bytes() == b"vocab.ende.spm old"


async def test_a_loader_that_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ModelError, match="ended unexpectedly"):
        await ModelStore(tmp_path / "models").add(EN_DE)


async def test_a_loader_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command does not wait for ever, and leaves no process."""
    told = tmp_path / "pid"
    os.mkfifo(told)
    hanging = tmp_path / "python"
    hanging.write_text(f"#!/bin/sh\necho $$ > {told}\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    adding = asyncio.create_task(ModelStore(tmp_path / "models").add(EN_DE))
    pid = int(await asyncio.to_thread(told.read_text))
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    monkeypatch.setattr(model_store, "FETCH_TIMEOUT_S", 0.01)
    with pytest.raises(ModelError, match="not fetched within"):
        await ModelStore(tmp_path / "models").add(EN_DE)
    assert _left(tmp_path / "models") == []


def test_removing(tmp_path: Path) -> None:
    """What was added goes at once; what came with the package stays; the rest is named."""
    store = ModelStore(_lay_out(tmp_path / "models", "en-de"))
    assert store.remove(EN_DE) == sum(map(len, _files("en", "de").values()))
    assert _left(store.folder) == []
    with pytest.raises(ModelError, match="comes with the package"):
        store.remove(Pair("en", "pt"))
    with pytest.raises(ModelError, match="is not in"):
        store.remove(EN_DE)
    with pytest.raises(ModelError, match="no folder"):
        ModelStore(tmp_path / "absent").remove(EN_DE)


def test_the_packages_models_are_as_published() -> None:
    """By its own record."""
    models = ModelStore(Path("absent")).installed()
    assert [one.pair for one in models] == [Pair("en", "pt"), Pair("pt", "en")]
    assert [verify(one) for one in models] == [(Verdict.VERIFIED, ())] * 2


async def test_files_that_lack_or_are_not_its_own_are_found(tmp_path: Path) -> None:
    """A file that is used but unknown; one that is known but gone; a folder that cannot be used any more."""
    store = ModelStore(tmp_path / "models", loader=FakeLoader(_files("en", "de")))
    await store.add(EN_DE)
    place = store.folder / "en-de"
    (place / "lex.50.50.ende.s2t.bin").unlink()
    (place / "lex.00.ende.bin").write_bytes(b"x")
    verdict, damaged = verify(next(models_in(store.folder)))
    assert (verdict, damaged) == (Verdict.DAMAGED, ["lex.00.ende.bin", "lex.50.50.ende.s2t.bin"])
    assert list(incomplete_in(store.folder)) == []
    (place / "vocab.ende.spm").unlink()
    assert list(models_in(store.folder)) == []
    assert list(incomplete_in(store.folder)) == [place]
    (place / RECORD).write_text("{")
    assert list(incomplete_in(store.folder)) == [place]


class FakeDiscovery:
    """fxtranslate's discovery, which finds one model."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing

    def records_url(self) -> str:
        return "url"

    def fetch_records_body(self) -> str:
        self._maybe("fetch")
        return "body"

    def parse_records(self, body: str) -> Sequence[Mapping[str, str | None]]:
        return [
            {
                "name": name,
                "sourceLanguage": "en",
                "targetLanguage": "de",
                "version": VERSION,
                "decompressedHash": hashlib.sha256(data).hexdigest(),
            }
            for name, data in _files("en", "de").items()
        ]

    def model_pairs(self, body: str) -> Sequence[tuple[str, str]]:
        return [("en", "de")]

    def resolve_route(self, body: str, source: str, target: str) -> Mapping[str, str]:
        self._maybe("resolve")
        return {"kind": "direct", "src": source, "trg": target}

    def add_models(self, source: str, target: str, folder: str, progress: bool) -> Mapping[str, str]:
        self._maybe("add")
        return {}

    def _maybe(self, what: str) -> None:
        if self.failing == what:
            raise ValueError(f"GET url: url: {what}")


@pytest.mark.parametrize(
    ("failing", "problem", "available"),
    [("fetch", "unreachable", ()), ("resolve", "unknown", ("en-de",)), ("add", "failed", ())],
)
def test_where_the_loader_fails(tmp_path: Path, failing: str, problem: str, available: Sequence[str]) -> None:
    """Each step is told apart, in its own words without repetition."""
    outcome = model_loader.fetch(FakeDiscovery(failing), tmp_path, "en", "de", progress=False)
    assert outcome == Outcome(problem, f"GET url: {failing}", "url", available=tuple(available))  # type: ignore[arg-type]


def test_files_of_another_version_go(tmp_path: Path) -> None:
    """Only what the registry has is kept."""
    _lay_out(tmp_path, "en-de")
    (tmp_path / "en-de" / "model.ende.old.bin").write_bytes(b"x")
    (model,) = model_loader.fetch(FakeDiscovery(), tmp_path, "en", "de", progress=False).models
    assert (model.version, sorted(model.files)) == (VERSION, sorted(_files("en", "de")))
    assert not (tmp_path / "en-de" / "model.ende.old.bin").exists()


def test_two_processes_do_not_change_the_folder_at_once(tmp_path: Path) -> None:
    """The second is told."""
    folder = _lay_out(tmp_path, "en-de")
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with pytest.raises(ModelError, match="another process"):
            ModelStore(folder).remove(EN_DE)
    finally:
        os.close(lock)
    assert ModelStore(folder).remove(EN_DE)
