"""Whose pages may connect, and what is of this machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.config import ConfigError
from gateway.web.origins import AllowedOrigins, Origin, is_loopback, origins

NAMED = AllowedOrigins.of(
    "https://talks.example, http://radio.example:8000", public_url="https://pub.example/x"
)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://10.0.0.7:8080", "10.0.0.7:8080"),
        ("https://hall.example", "hall.example"),
        ("https://hall.example", "hall.example:443"),
        ("http://hall.example:80", "hall.example"),
        ("http://HALL.example", "hall.Example"),
        ("http://[fd00::1]:8080", "[fd00::1]:8080"),
        ("https://talks.example", "inside:8080"),
        ("https://talks.example:443", "inside:8080"),
        ("http://radio.example:8000", "inside:8080"),
        ("https://pub.example", "inside:8080"),
        ("http://localhost:5173", "127.0.0.1:8080"),
        ("http://[::1]:3000", "localhost:8080"),
    ],
)
def test_own_and_named_pages_may_connect(origin: str, host: str) -> None:
    """The same host, those that are named, the public address, and on one machine any."""
    assert NAMED.allow([origin], host=host)


@pytest.mark.parametrize(
    ("origin_headers", "host"),
    [
        (["https://evil.example"], "hall.example"),
        (["https://evil.example"], "127.0.0.1:8080"),
        (["http://hall.example:8081"], "hall.example:8080"),
        (["http://talks.example"], "inside"),
        (["https://talks.example.evil.example"], "inside"),
        (["https://talks.example@evil.example"], "evil.example"),
        (["http://localhost:8080"], "hall.example"),
        (["null"], "hall.example"),
        ([""], "hall.example"),
        (["file://"], ""),
        (["http://"], ""),
        (["http://hall.example:x"], "hall.example:x"),
        (["http://[::1"], "[::1"),
        (["http://hall.example", "https://talks.example"], "hall.example"),
    ],
)
def test_other_pages_may_not(origin_headers: list[str], host: str) -> None:
    """Whatever they look like."""
    assert not NAMED.allow(origin_headers, host=host)


def test_who_is_no_browser_may_connect_always() -> None:
    """And with a star everybody."""
    assert NAMED.allow([], host="hall.example")
    assert AllowedOrigins.of("*").allow(["null"], host="")
    assert not AllowedOrigins.of("").allow(["null"], host="")


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_that_is_sent_breaks_it(origin: str, host: str) -> None:
    """It is decided, whatever stands there."""
    assert AllowedOrigins.of("").allow([origin], host=host) in {True, False}


@pytest.mark.parametrize("text", ["talks.example", "ws://talks.example", "https://", "https://x:99999"])
def test_a_setting_that_names_no_origin_is_refused(text: str) -> None:
    """With its name and the wrong part."""
    with pytest.raises(ConfigError, match="ALLOWED_ORIGINS") as refused:
        AllowedOrigins.of(f"https://talks.example {text}")
    assert text in str(refused.value)


def test_an_origin_is_written_as_browsers_do() -> None:
    """Without path and usual port."""
    found = origins(
        ["https://A.example:443/x", "http://[fd00::1]:8080", "http://a.example:443"], variable="X"
    )
    assert [str(each) for each in found] == [
        "https://a.example",
        "http://[fd00::1]:8080",
        "http://a.example:443",
    ]
    assert Origin.of("https://user:secret@a.example") is None


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_loopback_addresses(address: str, here: bool) -> None:
    """Of either family."""
    assert is_loopback(address) is here
