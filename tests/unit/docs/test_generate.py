"""The documentation says what the code says."""

import itertools
import re
import typing
from collections import defaultdict
from pathlib import Path

import pytest

from babelcast import config
from babelcast.errors import ErrorCode
from babelcast.protocol import client_messages as ask
from babelcast.protocol import server_messages as say
from docs import generate, notes


@pytest.mark.parametrize("page", generate.PAGES, ids=lambda page: page.name)
def test_pages_are_up_to_date(page: Path) -> None:
    """Every table is what the code gives; `make docs` mends it."""
    text = page.read_text()
    assert generate.render(text) == text


def test_every_block_stands_on_a_page() -> None:
    """Nothing is generated for nobody, and no page asks for what is not generated."""
    wanted = re.findall(r"<!-- begin ([a-z-]+) -->", "".join(page.read_text() for page in generate.PAGES))
    assert sorted(wanted) == sorted(generate.BLOCKS)


def test_blocks_are_replaced_and_prose_is_kept() -> None:
    """What stands in a block does not matter; what stands outside stays."""
    page = "before\n<!-- begin error-codes -->\nstale rows\n<!-- end error-codes -->\nafter\n"
    rendered = generate.render(page)
    assert rendered.startswith("before\n<!-- begin error-codes -->\n\n| code |")
    assert rendered.endswith("\n<!-- end error-codes -->\nafter\n")
    assert "stale rows" not in rendered
    assert generate.render(rendered) == rendered


def test_every_message_has_its_notes() -> None:
    """Each action has its answer, each type its recipients, each code its status."""
    assert set(notes.ANSWERS) == set(typing.get_args(ask.AnyClientMessage))
    assert set(notes.HEARD_BY) == set(typing.get_args(say.AnyServerMessage))
    assert set(notes.STATUSES) == set(ErrorCode)


def test_no_note_is_for_nothing() -> None:
    """Each note is about a field that the page shows."""
    text = "".join(block() for block in generate.BLOCKS.values())
    unused = [name for name, note in notes.FIELDS.items() if note not in text]
    assert unused == []


def test_a_field_without_a_note_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new field cannot be left without a meaning."""
    monkeypatch.delitem(notes.FIELDS, "volumeLevel")
    with pytest.raises(generate.NoNoteError, match=r"SetVolume\.volumeLevel"):
        generate.client_messages()


@pytest.mark.parametrize("page", sorted(generate.ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_links_within_a_page_lead_somewhere(page: Path) -> None:
    """Each `#anchor` is the heading of something, and of one thing only."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    linked = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert linked <= set(anchors)
    assert [anchor for anchor in linked if anchors.count(anchor) > 1] == []


@pytest.mark.parametrize(
    "page", [*generate.ROOT.glob("*.md"), *generate.ROOT.glob("docs/*.md")], ids=lambda page: page.name
)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    """Each relative link is to a file of the project."""
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_services_agree_on_the_variables_they_share() -> None:
    """A variable that two services read has one default."""
    defaults: dict[str, set[str]] = defaultdict(set)
    for kind in itertools.chain.from_iterable(generate.CONFIGS.values()):
        for setting in config.settings(kind):
            defaults[setting.variable].add(setting.default.removesuffix(".0"))
    assert {name: values for name, values in defaults.items() if len(values) > 1} == {}


def test_every_setting_has_a_meaning() -> None:
    """No variable is left unexplained."""
    silent = [
        setting.variable
        for kind in itertools.chain.from_iterable(generate.CONFIGS.values())
        for setting in config.settings(kind)
        if not setting.help
    ]
    assert silent == []
