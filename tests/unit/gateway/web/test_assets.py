"""The files of the pages, here and where the package is installed."""

from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from gateway.web.assets import STATIC, TYPES, Assets, made

ROOT = Path(__file__).parents[4]
SHIPPED = sorted(path for path in STATIC.rglob("*") if path.is_file())


def test_all_files_of_the_pages_are_in_the_package() -> None:
    """Since a page without one of them does not work."""
    builder = WheelBuilder(str(ROOT))
    packed = {Path(included.distribution_path) for included in builder.recurse_included_files()}
    assert {path.relative_to(ROOT) for path in SHIPPED} <= packed


def test_all_files_of_the_pages_are_served() -> None:
    """Each has a type that is known and a name that is taken."""
    found = Assets()
    assert [path for path in SHIPPED if found.find(str(path.relative_to(STATIC))) is None] == []


def test_a_link_out_of_the_folder_is_the_only_way_out(tmp_path: Path) -> None:
    """Names lead below the folder, whatever they hold."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out.js").write_text("secret")
    assets = Assets(tmp_path / "in")
    for name in (
        "../out.js",
        str(tmp_path / "out.js"),
        "./../out.js",
        "a/../../out.js",
        "\0.js",
        "x\n.js",
        ".js",
    ):
        assert assets.find(name) is None


@pytest.mark.parametrize("suffix", sorted(TYPES))
def test_short_files_are_not_packed(suffix: str) -> None:
    """Nor are those that are packed already: what is sent is what is shorter."""
    assert made(b"x", suffix).packed is None
    long = made(b"x" * 1000, suffix)
    assert (long.packed is None) == (suffix in {".png", ".woff2"})
    assert long.etag == made(b"x" * 1000, suffix).etag != made(b"y" * 1000, suffix).etag


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Even if it is named like one."""
    (tmp_path / "odd.js").mkdir()
    assert Assets(tmp_path).find("odd.js") is None
