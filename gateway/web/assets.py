"""The files of the pages, as they are sent.

They are read when they are first asked for and again when they have changed. Their names stay the same from
one version to the next, so browsers are told to ask each time whether they have changed (ETag).
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_PACKED_ALREADY: Final = frozenset({".png", ".woff2"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: as it is, and packed with gzip where that is shorter."""

    body: bytes
    packed: bytes | None
    content_type: str
    etag: str
    """A digest of the body."""


class Assets:
    """The files below a directory."""

    def __init__(self, directory: Path = STATIC) -> None:
        self._directory = directory
        self._known: dict[str, tuple[tuple[int, int], Asset]] = {}

    def find(self, name: str) -> Asset | None:
        """The file of that name, such as "js/net.js"; None when there is none."""
        suffix = Path(name).suffix
        if suffix not in TYPES or _NAME.fullmatch(name) is None:
            return None
        path = self._directory / name
        try:
            stat = path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            known = self._known.get(name)
            if known is not None and known[0] == version:
                return known[1]
            asset = made(path.read_bytes(), suffix)
        except OSError:
            return None
        self._known[name] = (version, asset)
        return asset


def made(body: bytes, suffix: str) -> Asset:
    """A file's content as it is sent."""
    packed = None if suffix in _PACKED_ALREADY else gzip.compress(body, mtime=0)
    return Asset(
        body=body,
        packed=packed if packed is not None and len(packed) < len(body) else None,
        content_type=TYPES[suffix],
        etag=hashlib.sha256(body).hexdigest()[:32],
    )
