"""Writes what `importlib.metadata` tells of this project: `python metadata.py PYPROJECT FOLDER`."""

import sys
import tomllib
from pathlib import Path


def main(pyproject: str, folder: str) -> None:
    """Its name and version, in a folder that is made."""
    project = tomllib.loads(Path(pyproject).read_text())["project"]
    name, version = project["name"], project["version"]
    place = Path(folder) / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
