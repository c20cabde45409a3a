"""Which web pages may open WebSockets here, and which requests come from this machine. Pure.

Browsers name the page that asks in `Origin` and let no script change it; other programs send none. There are
no cookies, so another site's page has no rights to abuse: this is a second wall.
"""

import dataclasses
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Self
from urllib.parse import urlsplit

from babelcast.config import ConfigError

_PORTS = {"http": 80, "https": 443}


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where a page is from (RFC 6454)."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self | None:
        """The origin of a page or endpoint; None when `url` is no http or https address."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            return None
        return cls(parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    @property
    def is_loopback(self) -> bool:
        """Whether it is on the machine of whoever looks at it."""
        return self.host == "localhost" or is_loopback(self.host)


@dataclasses.dataclass(frozen=True, slots=True)
class AllowedOrigins:
    """Pages that may connect: the gateway's own, and those that were named."""

    named: frozenset[Origin] = frozenset()
    anybody: bool = False

    @classmethod
    def of(cls, text: str, *, public_url: str = "") -> Self:
        """From a list such as "https://talks.example, https://radio.example:8443", or "*".

        Raises: ConfigError.
        """
        entries = split(text)
        named = origins([entry for entry in entries if entry != "*"], variable="ALLOWED_ORIGINS")
        public = Origin.of(public_url)
        return cls(frozenset(named if public is None else (*named, public)), anybody="*" in entries)

    def allow(self, origin_headers: Sequence[str], *, host: str) -> bool:
        """Whether a request with these Origin headers may open a WebSocket at `host`, as its Host says.

        On one machine pages of any port may: a page served by another program there is being developed.
        """
        if not origin_headers or self.anybody:
            return True
        if len(origin_headers) > 1:
            return False
        origin = Origin.of(origin_headers[0])
        if origin is None:  # "null": a file or a sandbox
            return False
        here = Origin.of(f"{origin.scheme}://{host}")
        return origin in self.named or (
            here is not None and (origin == here or (origin.is_loopback and here.is_loopback))
        )


def origins(entries: Sequence[str], *, variable: str) -> Sequence[Origin]:
    """What `variable` lists. Raises: ConfigError."""
    found = [Origin.of(entry) for entry in entries]
    if None in found:
        raise ConfigError(
            f"{variable}: {entries[found.index(None)]} is no origin such as https://example.org"
        )
    return [origin for origin in found if origin is not None]


def split(text: str) -> Sequence[str]:
    """The entries of a list with commas or spaces."""
    return text.replace(",", " ").split()


def is_loopback(address: str) -> bool:
    """Whether an address is of the machine itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback
