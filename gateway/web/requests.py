"""What a request says about itself. Pure."""

from collections.abc import Sequence

from aiohttp import web

from gateway.address import Network, client_address, client_scheme, limited_as, networks
from gateway.web.signin import is_local, is_local_to_proxy
from gateway.web.site import Site


def host(request: web.BaseRequest) -> str:
    """The Host header; "" when there is none, for which `request.host` would ask the name service."""
    return request.headers.get("Host", "")


def peer(request: web.BaseRequest) -> str:
    """The address at the other end of the connection; "" when it is gone."""
    name = None if request.transport is None else request.transport.get_extra_info("peername")
    return str(name[0]) if name else ""


def sender(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """By whom a request counts in limits per address."""
    forwarded_for = request.headers.getall("X-Forwarded-For", [])
    return limited_as(client_address(peer(request), forwarded_for, trusted))


def scheme(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """How the page is asked for: "https" if the connection is encrypted, or a trusted proxy says that its
    client's is; else "http".
    """
    said = request.headers.getall("X-Forwarded-Proto", [])
    return client_scheme(request.scheme, peer=peer(request), forwarded_proto=said, trusted=trusted)


def wants_page(request: web.BaseRequest) -> bool:
    """Whether a browser asks, rather than a program that takes anything."""
    return "text/html" in request.headers.get("Accept", "").lower()


def wants_websocket(request: web.BaseRequest) -> bool:
    """Whether it asks for an upgrade."""
    return any("websocket" in value.lower() for value in request.headers.getall("Upgrade", []))


def may_sign_in_locally(request: web.BaseRequest, site: Site) -> bool:
    """Whether it comes from somebody at the machine of a gateway that is its own issuer, or of its proxy if
    that one is known to be for its machine alone.
    """
    config = site.config
    if site.issuer is None or not config.local_sign_in:
        return False
    if config.local_sign_in_through_proxy:
        trusted = networks(config.trusted_proxies)
        return is_local_to_proxy(peer=peer(request), host=host(request), trusted=trusted)
    return not config.trusted_proxies and is_local(
        peer=peer(request), host=host(request), headers=request.headers
    )
