"""Apertium's stream format and what is installed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.translators import apertium
from translation_svc.translators.apertium import escape, installed_modes, unescape
from translation_svc.translators.apertium_stages import parse_stages
from translation_svc.translators.base import Pair


@given(st.text())
def test_an_engine_that_echoes_gives_the_text_back(text: str) -> None:
    """Blanks collapsed; every special sign survives, and none stays bare."""
    escaped = escape(text)
    assert "\0" not in escaped
    assert escaped.endswith("[]")
    assert unescape(escaped, of="*") == " ".join(text.replace("\0", " ").split())


def test_special_signs_are_escaped() -> None:
    """All that mean something in the stream format."""
    assert escape("[x] {y} ^z$ a/b \\ @c <d>") == "\\[x\\] \\{y\\} \\^z\\$ a\\/b \\\\ \\@c \\<d\\>[]"


def test_marks_of_unknown_words_never_leak() -> None:
    """Unless the speaker's text had such signs itself."""
    assert unescape("La *kneeling #bus (@x)[]", of="a b") == "La kneeling bus (x)"
    assert unescape("2 * 3 *x[]", of="2 * 3 *x") == "2 * 3 *x"
    assert unescape("2 * 3[]", of="a") == "2 * 3"


def test_a_mode_file_is_read_as_a_pipeline() -> None:
    """Quotes, the generator's option and the tagger's empty one."""
    script = "lt-proc -z '/usr/share/a b.bin' | apertium-tagger -z -g $2 '/x.prob' | lt-proc -z $1 '/y.bin'\n"
    assert parse_stages(script) == [
        ["lt-proc", "-z", "/usr/share/a b.bin"],
        ["apertium-tagger", "-z", "-g", "/x.prob"],
        ["lt-proc", "-z", "-n", "/y.bin"],
    ]


def _install(folder: Path, *, program: str = "cat", data: str = "") -> None:
    (folder / "pt-es.mode").write_text(f"{program} '{data or folder}' | cat")
    (folder / "spa-ita.mode").write_text("cat")


def test_a_mode_counts_when_its_programs_and_data_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only modes that routes use."""
    monkeypatch.setattr(apertium, "_TOOLS", ("cat",))
    _install(tmp_path)
    assert installed_modes(tmp_path) == {Pair("pt", "es"): tmp_path / "pt-es.mode"}
    _install(tmp_path, program="no-such-program")
    assert installed_modes(tmp_path) == {}
    _install(tmp_path, data="/no/such/data")
    assert installed_modes(tmp_path) == {}


def test_without_apertium_there_are_no_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its tools nor its folder."""
    assert installed_modes(tmp_path / "absent") == {}
    monkeypatch.setattr(apertium, "_TOOLS", ("no-such-program",))
    _install(tmp_path)
    assert installed_modes(tmp_path) == {}
