"""Certificates and keys in files that are replaced while a process runs."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from babelcast.config import ConfigError

LOOK_EVERY_S: Final = 1.0
"""How often files are looked at, at most."""
SOON: Final = timedelta(days=7)
"""A certificate that ends within this is warned of when it is read."""

log = logging.getLogger(__name__)

_Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Paths:
    """Where one side of TLS is: PEM files. `ca` is empty where clients show no certificate."""

    cert: str
    key: str
    ca: str = ""

    @classmethod
    def of(cls, **variables: str) -> Self | None:
        """From settings by the names of their variables, which end in _CERT, _KEY and perhaps _CA; None
        when none is set.

        Raises: ConfigError when only some are.
        """
        if not any(variables.values()):
            return None
        if missing := [name for name, value in variables.items() if not value]:
            raise ConfigError(f"{', '.join(missing)}: must be set too, all or none")
        return cls(**{name.rpartition("_")[2].lower(): value for name, value in variables.items()})

    @property
    def all(self) -> tuple[Path, ...]:
        """Those that there are."""
        return tuple(Path(path) for path in (self.cert, self.key, self.ca) if path)


@dataclass(frozen=True, slots=True)
class Pem:
    """What was in the files at one moment, and belongs together."""

    cert: bytes
    """The chain, own certificate first."""
    key: bytes = field(repr=False)
    ca: bytes
    expires: datetime
    """When the own certificate ends."""


class Unfit(Exception):
    """The files cannot be used; the message says why, and nothing of their content."""


class TlsFiles:
    """The newest content of the files that is fit for use. May be asked from any thread.

    Whoever replaces files may be caught between two of them: what does not belong together, or cannot be
    read, is left alone, and what was there before goes on being used.
    """

    def __init__(self, paths: Paths, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises: ConfigError when they are not fit for use now."""
        self.paths = paths
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_s = clock()
        self._stamp = _stamp(paths)
        try:
            self._pem = read(paths)
        except Unfit as error:
            raise ConfigError(str(error)) from error
        _tell(self._pem)

    def current(self) -> Pem:
        """What is in use; the same object until the files have changed."""
        with self._lock:
            now_s = self._clock()
            if now_s - self._looked_s >= LOOK_EVERY_S:
                self._looked_s = now_s
                self._look()
            return self._pem

    def _look(self) -> None:
        stamp = _stamp(self.paths)
        if stamp == self._stamp:
            return
        try:
            pem = read(self.paths)
        except Unfit as error:
            log.warning("certificate files left alone", extra={"cause": str(error)})
        else:
            if pem != self._pem:
                self._pem = pem
                _tell(pem)
        # what was read may be newer than the stamp: then it is read once more
        self._stamp = stamp


def read(paths: Paths) -> Pem:
    """Read the files and see that they belong together.

    Raises: Unfit.
    """
    cert, key = _bytes(paths.cert), _bytes(paths.key)
    ca = _bytes(paths.ca) if paths.ca else b""
    try:
        own = x509.load_pem_x509_certificates(cert)[0]
    except ValueError:
        raise Unfit(f"{paths.cert} holds no certificate in PEM") from None
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unfit(f"{paths.key} holds no key in PEM, or one with a password") from None
    kind = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if own.public_key().public_bytes(*kind) != private.public_key().public_bytes(*kind):
        raise Unfit(f"{paths.key} is not the key of {paths.cert}")
    if paths.ca:
        try:
            x509.load_pem_x509_certificates(ca)
        except ValueError:
            raise Unfit(f"{paths.ca} holds no certificate in PEM") from None
    return Pem(cert, key, ca, own.not_valid_after_utc)


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Unfit(f"{path} cannot be read: {error.strerror}") from error


def _stamp(paths: Paths) -> _Stamp | None:
    """What differs when a file was replaced, also behind a symbolic link; None when one is not there."""
    try:
        stats = [path.stat() for path in paths.all]
    except OSError:
        return None
    return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)


def _tell(pem: Pem) -> None:
    left = pem.expires - datetime.now(UTC)
    fields = {"expires": pem.expires.isoformat()}
    if left < SOON:
        log.warning("certificate ends soon or has ended", extra=fields)
    else:
        log.info("certificate read", extra=fields)
