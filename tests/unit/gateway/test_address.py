"""Whose connection it is."""

import pytest

from babelcast.config import ConfigError
from gateway.address import client_address, client_scheme, limited_as, networks, reachable

TRUSTED = networks("10.0.0.0/8, 192.168.1.7, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["1.1.1.1", "198.51.100.1, 192.168.1.7"], "198.51.100.1"),
        ("10.1.2.3", ["10.9.9.9"], "10.9.9.9"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["nonsense"], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1, "], "10.1.2.3"),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("unix", ["198.51.100.1"], "unix"),
    ],
)
def test_the_last_untrusted_hop_counts(peer: str, forwarded_for: list[str], expected: str) -> None:
    """What a client writes into the header itself does not count, nor what comes from a stranger."""
    assert client_address(peer, forwarded_for, TRUSTED) == expected


def test_nobody_is_trusted_unless_told() -> None:
    """Without trusted proxies the header is ignored."""
    assert client_address("10.1.2.3", ["198.51.100.1"], networks("")) == "10.1.2.3"


def test_nonsense_is_no_network() -> None:
    """A typing mistake is found at the start."""
    with pytest.raises(ConfigError, match=r"TRUSTED_PROXIES.*10\.0\.0"):
        networks("10.0.0")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("192.168.1.5", "192.168.1.5"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - nothing listens there
        ("::", "[::1]"),
        ("fd00::1", "[fd00::1]"),
    ],
)
def test_where_a_server_is_reached_from_here(host: str, expected: str) -> None:
    """At its own address, and on the loopback interface when it listens everywhere."""
    assert reachable(host) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("unix", "unix"),
    ],
)
def test_a_network_is_one_client(address: str, expected: str) -> None:
    """Somebody with a network of IPv6 addresses has no more than somebody with one address of IPv4."""
    assert limited_as(address) == expected


@pytest.mark.parametrize(
    ("peer", "own", "said", "expected"),
    [
        ("10.1.2.3", "http", ["https"], "https"),
        ("10.1.2.3", "http", [" HTTPS "], "https"),
        ("10.1.2.3", "http", ["https, http"], "http"),
        ("10.1.2.3", "http", ["http", "https"], "https"),
        ("10.1.2.3", "http", [], "http"),
        ("10.1.2.3", "https", ["http"], "https"),
        ("203.0.113.9", "http", ["https"], "http"),
        ("unix", "http", ["https"], "http"),
    ],
)
def test_a_trusted_proxy_says_how_its_client_asks(
    peer: str, own: str, said: list[str], expected: str
) -> None:
    """The nearest alone, and a stranger says nothing."""
    assert client_scheme(own, peer=peer, forwarded_proto=said, trusted=TRUSTED) == expected
