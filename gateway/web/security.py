"""Headers that say what a page may do and who may look at it. Pure.

The pages have no inline script or style, load nothing from other hosts and are shown in no frame.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

# Also for what is no page: a browser may be made to show it as one.
_NOTHING: Final = (
    "default-src 'none'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HOST = re.compile(r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_MAX_HOST_CHARS: Final = 253 + len(":65535")  # a name's own limit (RFC 1035), and a port

EVERYWHERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": _NOTHING,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)
"""On every answer, unless it says otherwise itself."""
ENCRYPTED: Final[Mapping[str, str]] = MappingProxyType({"Strict-Transport-Security": "max-age=31536000"})
"""On every answer over TLS: this host is to be asked over TLS alone, for a year (RFC 6797)."""


def transport_headers(transport: asyncio.BaseTransport | None) -> Mapping[str, str]:
    """What goes with an answer because of how it is sent."""
    encrypted = transport is not None and transport.get_extra_info("sslcontext") is not None
    return ENCRYPTED if encrypted else {}


def page_policy(
    *, hosts: Iterable[str] = (), token_origin: str = "", framed_by: Iterable[str] = ()
) -> Mapping[str, str]:
    """The header of a page that may open WebSockets at these hosts, ask at `token_origin` for a token, and
    be shown in frames of the origins `framed_by`.

    Browsers differ in whether 'self' is also WebSockets on the same host, so they are named; but for IPv6
    addresses, which a policy has no words for.
    """
    sockets = [
        f"{scheme}://{host}"
        for host in hosts
        if is_host(host) and "[" not in host
        for scheme in ("ws", "wss")
    ]
    token = [token_origin] if token_origin else []
    ancestors = list(framed_by)
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'", *dict.fromkeys(sockets), *token],
        "media-src": ["'self'", "blob:"],
        "worker-src": ["'self'"],
        "manifest-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'", *token],
        "frame-ancestors": ancestors or ["'none'"],
    }
    policy = "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())
    return {"Content-Security-Policy": policy}


def may_be_framed(policy: str) -> bool:
    """Whether a policy lets other sites show the page; X-Frame-Options could not name them."""
    return "frame-ancestors" in policy and "frame-ancestors 'none'" not in policy


def is_host(text: str) -> bool:
    """Whether `text` is a host as it stands in a Host header, with or without a port."""
    return len(text) <= _MAX_HOST_CHARS and _HOST.fullmatch(text) is not None
