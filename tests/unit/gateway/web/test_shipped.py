"""The pages as they are shipped: what their policy allows, nothing that is missing, and small."""

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.web.assets import STATIC, Assets

MAX_BYTES = 150_000
PAGES = sorted(STATIC.glob("*.html"))
MODULES = sorted(STATIC.rglob("*.js"))
_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["'](\.[^"']+)["']""")
_ASSET = re.compile(r"""["'`]/assets/([\w./-]+\.\w+)["'`]""")


class Tags(HTMLParser):
    """Every element with its attributes, and the text within scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is not None and data.strip():
            self.inline.append(data)


def asked_for(path: Path) -> Iterator[str]:
    """The names of the files that a file needs."""
    text = path.read_text()
    yield from _ASSET.findall(text)
    for relative in _IMPORT.findall(text):
        yield str((path.parent / relative).resolve().relative_to(STATIC))


def test_there_are_three_pages() -> None:
    """For listeners, stages and speakers."""
    assert [page.name for page in PAGES] == ["listen.html", "speak.html", "stage.html"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_inline(page: Path) -> None:
    """Since no browser would run or apply it; and nothing is from elsewhere."""
    tags = Tags(page.read_text())
    assert tags.inline == []
    for tag, attributes in tags.found:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            assert attributes.get(name, "/").startswith(("/", "#"))
            assert not attributes.get(name, "").startswith("//")


@pytest.mark.parametrize("path", [*PAGES, *MODULES], ids=lambda path: path.name)
def test_nothing_is_missing(path: Path) -> None:
    """Every file that another names is there."""
    assets = Assets()
    assert [name for name in asked_for(path) if assets.find(name) is None] == []


def test_all_of_it_is_small() -> None:
    """As it is sent to a browser, all pages in all languages together."""
    assets = Assets()
    files = [assets.find(str(path.relative_to(STATIC))) for path in STATIC.rglob("*.*")]
    assert 0 < sum(len(file.packed or file.body) for file in files if file is not None) < MAX_BYTES
