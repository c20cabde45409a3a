"""Writes what `importlib.metadata` tells of this project, name and version, into the folder that is named."""

import sys
import tomllib
from pathlib import Path


def main(folder: str) -> None:
    """As pyproject.toml says, which lies in the working directory."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    place = Path(folder) / f"{name}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


if __name__ == "__main__":
    main(sys.argv[1])
