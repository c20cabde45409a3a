"""Whose connection it is, behind proxies that are trusted to say so. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from babelcast.config import ConfigError

Network: TypeAlias = IPv4Network | IPv6Network


def networks(text: str) -> tuple[Network, ...]:
    """The networks in a list such as "10.0.0.0/8, 192.168.1.7".

    Raises: ConfigError.
    """
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ConfigError(f"TRUSTED_PROXIES: {error}") from error


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: the last in X-Forwarded-For that no trusted proxy has, if the peer is trusted.

    What stands further left was written by the client itself and says nothing.
    """
    address = peer
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    while hops and is_in(address, trusted):
        address = hops.pop()
    return address if _is_address(address) else peer


def client_scheme(own: str, *, peer: str, forwarded_proto: Sequence[str], trusted: Sequence[Network]) -> str:
    """How the client asks: "https" if a trusted peer says in X-Forwarded-Proto that its client does; else as
    it asks ourselves, in the scheme `own`. Of several proxies the nearest counts.
    """
    said = ",".join(forwarded_proto).rpartition(",")[2].strip().lower()
    return "https" if said == "https" and is_in(peer, trusted) else own


def limited_as(address: str) -> str:
    """What a client at `address` is counted as in limits per address.

    An IPv6 client may use any address of its network of 64 bits (RFC 6177), so that network is what counts.
    """
    if not _is_address(address):
        return address
    parsed = ip_address(address)
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), 64), strict=False))


def reachable(host: str) -> str:
    """Where a server that listens at `host` is reached from the same machine, as it stands in a URL."""
    address = ip_address(host)
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"  # noqa: PLR2004 - IPv4
    return host if address.version == 4 else f"[{host}]"  # noqa: PLR2004 - IPv4


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_in(text: str, trusted: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks."""
    if not _is_address(text):
        return False
    address = ip_address(text)
    return any(address in network for network in trusted)
