"""What a log must not tell."""

import base64
import ipaddress
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.redaction import redacted, redacted_fields

TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJlLW9mLWFuYQ"
OPAQUE = "Zt5dYbVXzmM1w0oYQnGm3kQXo4s3mV1h8w-_aB3dE5f"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"got {TOKEN}!", "got [hidden]!"),
        (f"cut short: {TOKEN[:50]}…", "cut short: [hidden]…"),
        (f"two: {TOKEN},{TOKEN}", "two: [hidden],[hidden]"),
        (f"GET /ws?token={TOKEN}&x=1 HTTP/1.1", "GET /ws?token=[hidden]&x=1 HTTP/1.1"),
        ("GET /ws?a=b&token=opaque&x=1 HTTP/1.1", "GET /ws?a=b&token=[hidden]&x=1 HTTP/1.1"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [hidden] [hidden]"),
        ("'Basic dXNlcjpwYXNzd29yZA=='", "'Basic [hidden]'"),
        ('resume_token: "short" role: 1', 'resume_token: "[hidden]" role: 1'),
        (r"{\"resumeToken\": \"short\", \"x\": 1}", r"{\"resumeToken\": \"[hidden]\", \"x\": 1}"),
        ("{'token': 'x', 'action': 'y'}", "{'token': '[hidden]', 'action': 'y'}"),
        ("RefreshConnection(resume_token='x', role=1)", "RefreshConnection(resume_token='[hidden]', role=1)"),
        ("https://ana:pass@issuer.example/keys", "https://[hidden]@issuer.example/keys"),
        (f"seat Qk3xYbVXzmM1w0oY.{OPAQUE} is taken", "seat [hidden] is taken"),
        (f"seat {OPAQUE} is taken", "seat [hidden] is taken"),
        ("from 203.0.113.77.", "from 203.0.x.x."),
        ("ipv4:10.1.2.3:50051", "ipv4:10.1.x.x:50051"),
        ("peer ('2001:db8:77::1', 4711, 0, 0)", "peer ('2001:0db8:x', 4711, 0, 0)"),
        ("[fe80::1]:443", "[fe80:0000:x]:443"),
        ("::ffff:203.0.113.77 left", "0000:0000:x left"),
    ],
)
def test_what_is_hidden(text: str, left: str) -> None:
    """Tokens by their looks, secrets by their names, addresses but for their network; the rest stays."""
    assert redacted(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "listens on 127.0.0.1:8080 and [::1]:8080",
        "at 16:04:35 on 2026-11-23T16:04:35.123Z",
        "version 1.85.1, part 1.2.3.4.5",
        "std::vector<int>, a::b::method",
        "the token has expired; tokens=5.0",
        "TokenBucket(rate=1.0, tokens=4)",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        "test_a_very_long_name_of_a_function_that_somebody_has_written",
        "/opt/venv/lib/python3.11/site-packages/opentelemetry/exporter/otlp/proto/grpc/exporter.py",
        "session golden-eagle-427, connection Qk3xYbVXzmM1w0oY",
        "",
    ],
)
def test_what_stays(text: str) -> None:
    """Times, versions, names, paths, trace ids and hashes, and the loopback address are nobody's secret."""
    assert redacted(text) == text


@given(
    claims=st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=3),
    signature=st.binary(min_size=16, max_size=64),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
def test_no_web_token_survives(claims: dict[str, str], signature: bytes, before: str, after: str) -> None:
    """Whatever it says and wherever it stands."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    payload, signed = part(json.dumps(claims).encode()), part(signature)
    header = part(b'{"alg":"RS256","kid":"k"}')
    left = redacted(f"{before} {header}.{payload}.{signed} {after}")
    assert f".{payload}." not in left
    assert signed not in left.replace(before, "").replace(after, "") or signed in before + after


@given(st.binary(min_size=32, max_size=32), st.sampled_from(["", "Qk3xYbVXzmM1w0oY."]))
def test_no_random_secret_survives(secret: bytes, connection: str) -> None:
    """One of 32 bytes, as resume tokens hold, has capitals and small letters in nearly all cases."""
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    if re.search("[a-z]", text) and re.search("[A-Z]", text):
        assert redacted(f"took '{connection}{text}' away") == "took '[hidden]' away"


@given(st.ip_addresses())
def test_no_whole_address_survives(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """But those of this very machine."""
    left = redacted(f"from {address}, port 1")
    kept = address.is_unspecified or str(address) in {"127.0.0.1", "::1"}
    assert (f"from {address}, port 1" == left) is kept


@given(st.text())
def test_twice_is_once(text: str) -> None:
    """What is hidden is not hidden again."""
    assert redacted(redacted(text)) == redacted(text)


def test_fields_are_hidden_by_their_names() -> None:
    """Whatever they hold, and however deep; other values go by their looks, and numbers stay."""
    fields = {
        "token": 17,
        "resume_token": "x",
        "headers": {"Authorization": ["x"], "Host": "h"},
        "many": [TOKEN, {"password": "x"}, 3],
        "tokens": 5,
        "none": None,
    }
    assert redacted_fields(fields) == {
        "token": "[hidden]",
        "resume_token": "[hidden]",
        "headers": {"Authorization": "[hidden]", "Host": "h"},
        "many": ["[hidden]", {"password": "[hidden]"}, 3],
        "tokens": 5,
        "none": None,
    }
