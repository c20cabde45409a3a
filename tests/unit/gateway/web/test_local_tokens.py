"""One-click sign-in: for pages of this machine's own gateway, and nobody else."""

from typing import Any

import aiohttp
import jwt
import pytest

from gateway.config import GatewayConfig
from gateway.web.local_tokens import AT_ONCE, PER_MIN


async def ask(http: aiohttp.ClientSession, **headers: str) -> tuple[int, str]:
    """Status and body for a request with these headers, "_" standing for "-"; Host and Origin as a page of
    ours would have them.
    """
    port = http._base_url.port  # type: ignore[union-attr]  # the client has one
    named = {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"} | {
        name.replace("_", "-"): value for name, value in headers.items() if value
    }
    for name, value in headers.items():
        if not value:
            del named[name]
    async with http.post(f"http://127.0.0.1:{port}/local/token", headers=named) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.text()


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:9"])
async def test_a_page_on_this_machine_gets_a_token(serve: Any, issuer: Any, host: str) -> None:
    """Of the local issuer, for its one speaker."""
    async with serve() as http:
        for fetched in ({}, {"Sec_Fetch_Site": "same-origin"}):
            status, body = await ask(http, Host=host, Origin=f"http://{host}", **fetched)
            assert status == 200
            token = body.removeprefix('{"token":"').removesuffix('"}')
            claims = jwt.decode(token, options={"verify_signature": False})
            assert claims["sub"] == "local-speaker"
            assert jwt.get_unverified_header(token)["kid"] == issuer.kid


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:8081"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "localhost.evil.example", "Origin": "http://localhost.evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "none"},
        {"X_Forwarded_For": "127.0.0.1"},
        {"X_Real_Ip": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
    ],
)
async def test_nobody_else_does(serve: Any, headers: dict[str, str]) -> None:
    """Another site's page, a name made to lead here, a program, somebody behind a proxy."""
    async with serve() as http:
        status, body = await ask(http, **headers)
        assert (status, body) == (403, "Only pages on this machine are signed in.\n")
        assert (await ask(http))[0] == 200


@pytest.mark.parametrize(
    "config", [GatewayConfig(local_sign_in=False), GatewayConfig(trusted_proxies="10.0.0.0/8")]
)
async def test_it_can_be_switched_off(serve: Any, config: GatewayConfig) -> None:
    """And is, where there are proxies; the page is told."""
    async with serve(config) as http:
        assert (await ask(http))[0] == 403
        async with http.get("/config.json") as answer:
            assert (await answer.json())["signIn"]["local"] is False


async def test_from_elsewhere_nobody_is_local(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with a Host that says so."""
    monkeypatch.setattr("gateway.web.requests.peer", lambda _: "203.0.113.9")
    async with serve() as http:
        assert (await ask(http))[0] == 403


PROXY = GatewayConfig(trusted_proxies="127.0.0.0/8", local_sign_in_through_proxy=True)
PASSED_ON = {"X_Forwarded_For": "172.20.0.1"}


async def test_a_page_behind_its_machines_own_proxy_gets_a_token(serve: Any) -> None:
    """Where it is said that nobody else can reach that proxy; the page is told."""
    async with serve(PROXY) as http:
        assert (await ask(http, Host="localhost:8080", Origin="http://localhost:8080", **PASSED_ON))[0] == 200
        assert (await ask(http, Host="localhost:8443", Origin="https://localhost:8443", **PASSED_ON))[
            0
        ] == 200
        async with http.get("/config.json") as answer:
            assert (await answer.json())["signIn"]["local"] is True


@pytest.mark.parametrize(
    ("config", "headers"),
    [
        (PROXY, {"Host": "talks.example", "Origin": "http://talks.example"}),
        (PROXY, {"Origin": "https://evil.example"}),
        (GatewayConfig(trusted_proxies="10.0.0.0/8", local_sign_in_through_proxy=True), {}),
        (GatewayConfig(local_sign_in_through_proxy=True), {}),
        (GatewayConfig(trusted_proxies="127.0.0.0/8"), {}),
    ],
)
async def test_no_other_page_behind_a_proxy_does(
    serve: Any, config: GatewayConfig, headers: dict[str, str]
) -> None:
    """A page by another name or of another site, a proxy that is not trusted or may be reached by others."""
    async with serve(config) as http:
        assert (await ask(http, **PASSED_ON, **headers))[0] == 403


async def test_tokens_are_handed_out_at_a_rate(serve: Any, scene: Any) -> None:
    """A page that asks on and on is told to wait, and gets one then."""
    async with serve() as http:
        for _ in range(AT_ONCE):
            assert (await ask(http))[0] == 200
        assert (await ask(http))[0] == 429
        scene.now_s += 60 / PER_MIN
        assert (await ask(http))[0] == 200
        assert (await ask(http))[0] == 429


async def test_tokens_are_not_logged(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """At any level."""
    caplog.set_level(0)
    async with serve() as http:
        _, body = await ask(http)
    assert body[10:40] not in caplog.text
    assert "/local/token" not in caplog.text
