"""What the changelog says of a version."""

import re
import tomllib
from pathlib import Path
from typing import Final

from deploy.gates.checked import ROOT

PAGE: Final = ROOT / "CHANGELOG.md"


def version() -> str:
    """The one in pyproject.toml."""
    project = tomllib.loads(Path(ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def entries(page: str, wanted: str) -> int:
    """How many entries a version has. What is in development is not released yet."""
    heading = "Unreleased" if "dev" in wanted else re.escape(wanted)
    section = re.search(rf"^## \[{heading}\].*?\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return len(re.findall(r"^- ", section[1], re.MULTILINE)) if section else 0
