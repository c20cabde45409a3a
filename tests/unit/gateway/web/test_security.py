"""What pages are allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.security import EVERYWHERE, is_host, may_be_framed, page_policy


@given(st.lists(st.text(max_size=60), max_size=4))
def test_no_host_adds_a_directive(hosts: list[str]) -> None:
    """Whatever a Host header holds, sources of WebSockets are all that it can add."""
    policy = page_policy(hosts=hosts)["Content-Security-Policy"]
    plain = page_policy()["Content-Security-Policy"]
    assert len(policy.split("; ")) == len(plain.split("; "))
    assert [part for part in policy.split("; ") if not part.startswith("connect-src")] == [
        part for part in plain.split("; ") if not part.startswith("connect-src")
    ]
    assert policy.isascii() and policy.isprintable()


@pytest.mark.parametrize("text", ["a", "a.b-c.d:80", "127.0.0.1", "[::1]", "[fd00::1]:8080"])
def test_hosts(text: str) -> None:
    """With and without a port."""
    assert is_host(text)


@pytest.mark.parametrize(
    "text", ["", "a b", "a;b", "a\n", "a/b", "a:b", "*", "a:", "http://a", "é", "a." * 130]
)
def test_what_is_no_host(text: str) -> None:
    """It has no place in a policy."""
    assert not is_host(text)


def test_ipv6_addresses_are_left_out() -> None:
    """Browsers complain of them."""
    assert "[" not in page_policy(hosts=["[::1]:8080"])["Content-Security-Policy"]


def test_nothing_is_framed_unless_it_says_so() -> None:
    """Neither a page without a word about it nor what is no page."""
    assert not may_be_framed("")
    assert not may_be_framed(EVERYWHERE["Content-Security-Policy"])
    assert not may_be_framed(page_policy()["Content-Security-Policy"])
    assert may_be_framed(page_policy(framed_by=["https://a.example"])["Content-Security-Policy"])
