"""Finding the weights."""

import hashlib
from pathlib import Path

import pytest

from babelcast.errors import ServiceUnavailable
from transcription_svc.engines import model


def fill(folder: Path, *, weights: bytes = b"weights") -> Path:
    """A model folder with made-up content."""
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(weights)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the data packages were not installed."""
    monkeypatch.setattr(model, "_WHEELS", ("no_such_package_part1", "no_such_package_part2"))


def test_a_named_folder_comes_first(tmp_path: Path) -> None:
    """The operator's folder is taken as it is, under its own name."""
    found = model.find_model(model_dir=fill(tmp_path / "tiny"), data_dir=tmp_path, download=False)
    assert found.name == "whisper-tiny"
    assert found.files["model.bin"] == b"weights"


def test_an_incomplete_folder_is_named(tmp_path: Path) -> None:
    """What lacks is said."""
    folder = fill(tmp_path / "tiny")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ServiceUnavailable, match=r"lacks tokenizer\.json"):
        model.find_model(model_dir=folder, data_dir=tmp_path, download=False)


@pytest.mark.usefixtures("no_wheels")
def test_a_fetched_model_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in the data folder is taken when its hash is right, refused when it is not."""
    fill(tmp_path / "models" / "whisper-base")
    with pytest.raises(ServiceUnavailable, match="damaged"):
        model.find_model(model_dir=None, data_dir=tmp_path, download=False)
    monkeypatch.setattr(model, "BASE_SHA256", hashlib.sha256(b"weights").hexdigest())
    assert model.find_model(model_dir=None, data_dir=tmp_path, download=False).name == "whisper-base"


@pytest.mark.usefixtures("no_wheels")
def test_without_any_source_it_says_what_to_do(tmp_path: Path) -> None:
    """No folder, no packages, no download: the error names the way out."""
    with pytest.raises(ServiceUnavailable, match="babelcast doctor"):
        model.find_model(model_dir=None, data_dir=tmp_path, download=False)


def test_the_data_packages_join_to_the_published_model(tmp_path: Path) -> None:
    """The installed parts are located without importing them, joined and checked."""
    found = model.find_model(model_dir=None, data_dir=tmp_path, download=False)
    assert found.name == "whisper-base"
    assert hashlib.sha256(found.files["model.bin"]).hexdigest() == model.BASE_SHA256


@pytest.mark.usefixtures("no_wheels")
def test_the_download_is_the_last_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where allowed, the loader fetches into the data folder; when it cannot, the error says so."""

    def unreachable(size: str, *, output_dir: str) -> str:
        raise ConnectionError(f"{size} into {output_dir}")

    monkeypatch.setattr("faster_whisper.download_model", unreachable)
    with pytest.raises(ServiceUnavailable, match="could not be fetched"):
        model.find_model(model_dir=None, data_dir=tmp_path, download=True)


def test_a_size_is_looked_for_in_the_data_folder(tmp_path: Path) -> None:
    """A model of a known size is taken from its place, under its name, and without a hash to compare."""
    folder = fill(model.size_folder(tmp_path, "small"))
    found = model.find_model(model_dir=folder, data_dir=tmp_path, download=False)
    assert (found.name, model.size_of(found.name)) == ("whisper-small", "small")


def test_a_size_that_is_not_there_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without internet the folder is named where the files belong; with it the loader fills that folder."""
    folder = model.size_folder(tmp_path, "small")
    with pytest.raises(ServiceUnavailable, match=f"small is not installed; put its files into {folder}"):
        model.find_model(model_dir=folder, data_dir=tmp_path, download=False)

    def unreachable(size: str, *, output_dir: str) -> str:
        raise ConnectionError(f"{size} into {output_dir}")

    monkeypatch.setattr("faster_whisper.download_model", unreachable)
    with pytest.raises(ServiceUnavailable, match=f"could not be fetched; put its files into {folder}"):
        model.find_model(model_dir=folder, data_dir=tmp_path, download=True)

    def fetched(size: str, *, output_dir: str) -> str:
        assert size == "small"
        Path(output_dir).rmdir()
        return str(fill(Path(output_dir)))

    monkeypatch.setattr("faster_whisper.download_model", fetched)
    assert model.find_model(model_dir=folder, data_dir=tmp_path, download=True).name == "whisper-small"


def test_an_unknown_size_is_named(tmp_path: Path) -> None:
    """A word that is neither a folder nor a size gets the list of sizes."""
    folder = model.size_folder(tmp_path, "enormous")
    with pytest.raises(ServiceUnavailable, match=r"no speech model enormous.* turbo"):
        model.find_model(model_dir=folder, data_dir=tmp_path, download=True)


def test_the_best_installed_model_is_found(tmp_path: Path) -> None:
    """Of better ones the best that knows more than English; none for the best one or one of no known size."""
    assert model.best_installed(tmp_path, above="base") is None
    for size in ("tiny", "small", "medium", "medium.en", "distil-large-v3"):
        fill(model.size_folder(tmp_path, size))
    assert model.best_installed(tmp_path, above="base") == model.size_folder(tmp_path, "medium")
    assert model.best_installed(tmp_path, above="large-v3") is None
    assert model.best_installed(tmp_path, above="own") is None
