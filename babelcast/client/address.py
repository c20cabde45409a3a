"""Where a gateway is, as people write it and as a WebSocket needs it."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from babelcast.errors import InvalidParameter

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


def normalise(url: str) -> str:
    """The WebSocket address of what somebody typed: "127.0.0.1:8080" → "ws://127.0.0.1:8080/".

    Raises: InvalidParameter.
    """
    text = url.strip()
    parts = urlsplit(text if "://" in text else f"ws://{text}")
    scheme = _SCHEMES.get(parts.scheme.lower())
    try:
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits = False
    if scheme is None or not parts.hostname or not port_fits:
        raise InvalidParameter("url", f"{url!r} is no address such as ws://127.0.0.1:8080.")
    return urlunsplit((scheme, parts.netloc, parts.path or "/", parts.query, ""))


def several(urls: str | Sequence[str]) -> tuple[str, ...]:
    """The WebSocket addresses of one or more gateways, each once, in their order.

    Raises: InvalidParameter when there is none, or one that is no address.
    """
    given = (urls,) if isinstance(urls, str) else urls
    if not given:
        raise InvalidParameter("url", "at least one address is needed.")
    return tuple(dict.fromkeys(map(normalise, given)))


def is_loopback(url: str) -> bool:
    """Whether the address is this machine, which no proxy can reach for us."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
