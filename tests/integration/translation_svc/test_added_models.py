"""A model that was added, in the running service."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from babelcast.translation.v1 import translation_pb2 as pb
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.translators.base import Pair
from translation_svc.translators.model_loader import REGISTRY
from translation_svc.translators.model_store import ModelStore
from translation_svc.translators.models import bundled_models

if TYPE_CHECKING:
    from tests.integration.translation_svc.conftest import Owner, Stub

pytestmark = pytest.mark.engines


@pytest.fixture
async def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A model "into German" and one "from Spanish into English", which really speak Portuguese: copies of
    the one that is on every machine, in the loader's layout, added without internet.
    """
    monkeypatch.setenv(REGISTRY, "http://127.0.0.1:1/records")
    real = next(one for one in bundled_models() if one.pair == Pair("en", "pt"))
    for direction in ("ende", "enes"):
        folder = tmp_path / "copy" / f"{direction[:2]}-{direction[2:]}"
        folder.mkdir(parents=True)
        for file in real.files.paths():
            shutil.copyfile(file, folder / Path(file).name.replace("enpt", direction))
    store = ModelStore(tmp_path / "models")
    for target in ("de", "es"):
        await store.add(Pair("en", target), copy=tmp_path / "copy")
    yield store.folder


@pytest.fixture
def config(models_dir: Path) -> TranslationConfig:
    """With those models."""
    return TranslationConfig(translation_bind="127.0.0.1:0", drain_seconds=5, models_dir=str(models_dir))


async def test_an_added_model_opens_languages_and_shortens_routes(
    app: TranslationApp, stub: "Stub", owner: "Owner"
) -> None:
    """German is there for all who reach English, and Spanish comes from its own model."""
    there = await stub.ListLanguages(pb.ListLanguagesRequest())
    assert all("de" in there.targets[source].languages for source in ("en", "pt", "es", "fr"))
    assert "de" not in there.targets
    spanish = app.interpreter.routes.find("es", "de")
    assert spanish is not None
    assert [step.pair for step in spanish] == [Pair("es", "pt"), Pair("pt", "en"), Pair("en", "de")]
    direct = app.interpreter.routes.find("en", "es")
    assert direct is not None
    assert [(step.engine, step.pair) for step in direct] == [("bergamot", Pair("en", "es"))]
    await owner.open()
    await owner.segment(1, "I saw a black cat.", "de", "es", "pt")
    texts = await owner.texts(["de", "es", "pt"])
    assert texts["de"] == texts["es"] == texts["pt"]
    assert "gato preto" in texts["de"]
    await owner.end()


async def test_a_language_that_is_there_only_as_a_target(stub: "Stub", owner: "Owner") -> None:
    """What nobody can speak or hear here is refused with what there is."""
    await owner.open()
    await owner.segment(1, "One.", "nl", "pt")
    failure, _ = await owner.end()
    assert (failure.failure.language, failure.failure.reason) == ("nl", "UNSUPPORTED_LANGUAGE")
