"""The bill of materials of what runs, as CycloneDX 1.6: `python -m deploy.supply.sbom FILE`.

Made from requirements.lock and what is installed, so the same twice for the same lock. Debian's packages are
named without a version, which their archive decides.
"""

import importlib.metadata
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.supply.licences import LOCK, ROOT, Package, packages

_SPACE: Final = uuid.UUID("5f0a5d6e-6a0e-5c0f-9d63-3f1d8e4b7a11")
_OWN: Final = "babelcast"
_DEBIAN_LICENCE: Final = {"libportaudio2": "MIT"}
_DEBIAN_OTHERS: Final = "GPL-2.0-or-later"


def document(lock: str, setup: str) -> Mapping[str, object]:
    """The whole bill, from the texts of requirements.lock and deploy/dev/setup."""
    found = packages(lock)
    known = {package.name: _purl(package) for package in found}
    direct = _needs(_OWN, known)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, lock + setup)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": _OWN,
                "name": _OWN,
                "version": importlib.metadata.version(_OWN),
            }
        },
        "components": [*map(_component, found), *map(_debian, engine_packages(setup))],
        "dependencies": [
            {"ref": _OWN, "dependsOn": direct},
            *({"ref": known[one.name], "dependsOn": _needs(one.name, known)} for one in found),
        ],
    }


def engine_packages(setup: str) -> Sequence[str]:
    """The Debian packages that deploy/dev/setup installs for the engines."""
    line = re.search(r"^engine_packages=\((?P<names>[^)]*)\)", setup, re.M)
    return [] if line is None else line["names"].split()


def _component(package: Package) -> Mapping[str, object]:
    return {
        "type": "library",
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "purl": _purl(package),
        "licenses": [{"expression": package.licence}],
    }


def _debian(name: str) -> Mapping[str, object]:
    purl = f"pkg:deb/debian/{name}"
    licence = _DEBIAN_LICENCE.get(name, _DEBIAN_OTHERS)
    return {
        "type": "application",
        "bom-ref": purl,
        "name": name,
        "purl": purl,
        "licenses": [{"expression": licence}],
    }


def _purl(package: Package) -> str:
    return f"pkg:pypi/{canonicalize_name(package.name)}@{package.version}"


def _needs(name: str, known: Mapping[str, str]) -> Sequence[str]:
    """References to what a package needs, of what the lock has; an extra's needs count for all."""
    needed = set()
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        wanted = canonicalize_name(requirement.name)
        if name == _OWN and requirement.marker is not None:
            continue  # for developers
        if wanted in known and wanted != name:
            needed.add(known[wanted])
    return sorted(needed)


def main(arguments: Sequence[str]) -> int:
    """Write the bill; returns the exit code."""
    (target,) = arguments
    bill = document(LOCK.read_text(), (ROOT / "deploy" / "dev" / "setup").read_text())
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(bill), indent=2) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
