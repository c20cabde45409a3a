"""What Babelcast is made of, and whether it may be passed on."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.supply import sbom
from deploy.supply.licences import (
    COPYLEFT,
    LOCK,
    PERMISSIVE,
    ROOT,
    STATED,
    Package,
    Unknown,
    licence,
    main,
    packages,
    pins,
)


def explained() -> set[str]:
    """The packages that docs/third-party.md has under a copyleft licence and not for tests alone."""
    page = (ROOT / "docs" / "third-party.md").read_text().partition("## For tests alone")[0]
    rows = [row for row in page.splitlines() if row.startswith("|") and re.search(r"\b[LA]?GPL|\bMPL", row)]
    return {
        name
        for row in rows
        for names in re.findall(r"PyPI ((?:`[a-z0-9-]+`(?:, )?)+)", row)
        for name in re.findall(r"`([a-z0-9-]+)`", names)
    }


def test_every_licence_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    """Of all that the lock installs, the command says so and prints each."""
    found = packages(LOCK.read_text())
    assert len(found) > 80
    assert [package for package in found if not package.is_known] == []
    assert main() == 0
    printed = capsys.readouterr().out
    assert all(f"| {package.name} | {package.version} |" in printed for package in found)


def test_copyleft_is_explained() -> None:
    """Each package under such a licence, and no other, has its line in docs/third-party.md."""
    assert {package.name for package in packages(LOCK.read_text()) if package.is_copyleft} == explained()


def test_what_is_stated_here_is_in_the_lock() -> None:
    """No line is left of a package that is gone."""
    assert set(STATED) <= {name for name, _ in pins(LOCK.read_text())} | {"colorama"}


def test_an_alternative_is_no_copyleft() -> None:
    """Who may choose need not choose that; who gets both has it."""
    assert not Package("x", "1", "MIT OR GPL-2.0-or-later").is_copyleft
    assert Package("x", "1", "MIT AND GPL-2.0-or-later").is_copyleft
    assert not Package("x", "1", "MIT").is_copyleft
    assert not Package("x", "1", "SSPL-1.0").is_known
    assert not PERMISSIVE & COPYLEFT


def test_who_says_nothing_is_not_waved_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """A licence is never guessed."""
    monkeypatch.setattr("deploy.supply.licences.STATED", {})
    with pytest.raises(Unknown, match="espeakng-loader"):
        licence("espeakng-loader")


def test_the_bill_of_materials(tmp_path: Path) -> None:
    """It is good CycloneDX, the same twice, and has each package of the lock and each of Debian's."""
    for name in ("one.json", "two.json"):
        assert sbom.main([str(tmp_path / name)]) == 0
    text = (tmp_path / "one.json").read_text()
    assert text == (tmp_path / "two.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    named = {(part["name"], part.get("version")) for part in bill["components"]}
    assert set(pins(LOCK.read_text())) <= named
    assert ("apertium", None) in named
    references = {part["bom-ref"] for part in bill["components"]}
    needed = {need for entry in bill["dependencies"] for need in entry["dependsOn"]}
    assert needed <= references
    assert any(need.startswith("pkg:pypi/grpcio@") for need in bill["dependencies"][0]["dependsOn"])
    assert not any(need.startswith("pkg:pypi/pytest@") for need in references)


def test_an_audit_without_the_internet_says_so() -> None:
    """Rather than looking like one that found nothing."""
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        [str(ROOT / "deploy" / "dev" / "audit")],
        env={**os.environ, "HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere, "NO_PROXY": ""},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2
    assert "NOTHING WAS CHECKED" in done.stderr


def test_a_secret_in_code_is_found(tmp_path: Path) -> None:
    """Where one is checked in; what the baseline names is none, wherever it moved to."""
    script = str(ROOT / "deploy" / "supply" / "secrets")
    (tmp_path / "config.py").write_text('password = "' + "correct-horse" + '-battery"\n')
    known = ROOT / "gateway" / "web" / "static" / "js" / "player.js"
    for path, code in ((tmp_path / "config.py", 1), (known.relative_to(ROOT), 0)):
        done = subprocess.run([script, str(path)], capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == code, done.stdout + done.stderr
