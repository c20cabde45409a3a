"""Addresses as people type them."""

import pytest

from babelcast.client import address
from babelcast.errors import InvalidParameter


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ws://127.0.0.1:8080", "ws://127.0.0.1:8080/"),
        ("127.0.0.1:8080", "ws://127.0.0.1:8080/"),
        ("localhost", "ws://localhost/"),
        ("https://talk.example/prod", "wss://talk.example/prod"),
        ("http://[::1]:9000/ws?x=1#part", "ws://[::1]:9000/ws?x=1"),
    ],
)
def test_an_address_becomes_a_websocket_address(typed: str, meant: str) -> None:
    """Scheme and path are filled in, a fragment is dropped."""
    assert address.normalise(typed) == meant


@pytest.mark.parametrize(
    "typed", ["", "ftp://host", "ws://", "ws://host:port", "ws://host:99999", "ws://host:0"]
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    """Another scheme, no host or a bad port is an error that names the url."""
    with pytest.raises(InvalidParameter) as caught:
        address.normalise(typed)
    assert caught.value.details["parameter"] == "url"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://127.0.0.1:1/", True),
        ("ws://localhost/", True),
        ("ws://[::1]/", True),
        ("ws://10.0.0.1/", False),
        ("ws://talk.example/", False),
    ],
)
def test_this_machine_is_recognised(url: str, expected: bool) -> None:
    """Loopback addresses and localhost are this machine."""
    assert address.is_loopback(url) is expected
