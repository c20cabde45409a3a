"""The pages' side of a running gateway: signing in, whose pages may connect, and connections at its end."""

import asyncio
import base64
import hashlib
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from babelcast.auth.config import Trust
from babelcast.auth.local_issuer import AUDIENCE, ISSUER, LocalIssuer
from gateway.config import GatewayConfig
from gateway.server import Issuers
from gateway.web.security import EVERYWHERE
from tests.integration.gateway.client import PATIENCE_S, Client
from tests.integration.gateway.stage import Stage, eventually, staged

CREATE = {"action": "createSession", "sourceLanguage": "en"}


async def test_one_click_makes_a_speaker(stage: Stage) -> None:
    """The page's token is good for a session, whose invitation and QR code lead to the listener's page."""
    base = f"http://127.0.0.1:{stage.gateway.port}"
    async with aiohttp.ClientSession(base) as http:
        async with http.get("/config.json") as answer:
            settings = await answer.json()
        assert settings["signIn"]["local"] is True
        assert "en" in settings["languages"]["sources"]
        async with http.post("/local/token", headers={"Origin": base}) as answer:
            token = (await answer.json())["token"]
        speaker = await stage.client(token=token, origin=base)
        created = await speaker.ask("sessionCreated", **CREATE)
        path = urlsplit(created["joinUrl"]).path
        async with http.get(path) as answer:
            assert f"babelcast listen {created['sessionId']}" in await answer.text()
        async with http.get(f"/sessions{path}/qr.svg") as answer:
            assert f"<title>{created['joinUrl']}</title>" in await answer.text()


@pytest.mark.parametrize(
    ("trusted", "scheme"), [("127.0.0.0/8", "https"), ("10.0.0.0/8", "http"), ("", "http")]
)
async def test_behind_a_proxy_that_does_tls_invitations_say_so(
    tmp_path: Path, issuer: LocalIssuer, trusted: str, scheme: str
) -> None:
    """If it is trusted: the invitation leads where the speaker came from, as the QR code does."""
    config = GatewayConfig(drain_seconds=5, trusted_proxies=trusted)
    said = {"X-Forwarded-Proto": "https"}
    async with staged(tmp_path, issuer, gateway=config) as stage:
        speaker = await stage.client(token=stage.token(), headers=said)
        created = await speaker.ask("sessionCreated", **CREATE)
        assert created["joinUrl"] == f"{scheme}://127.0.0.1:{stage.gateway.port}/{created['sessionId']}"


async def test_pages_of_other_sites_may_not_connect(stage: Stage) -> None:
    """They are refused before anything is looked at; pages from here and programs are let in."""
    for origin in (None, f"http://127.0.0.1:{stage.gateway.port}", "http://localhost:5173"):
        await (await stage.client(origin=origin)).fence()
    for origin in ("https://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            await stage.client(origin=origin, token="not looked at")
        assert refused.value.response.status_code == 403
        for name, value in EVERYWHERE.items():
            assert refused.value.response.headers[name] == value


async def test_named_sites_may_connect(tmp_path: Path, issuer: LocalIssuer) -> None:
    """As ALLOWED_ORIGINS says."""
    config = GatewayConfig(drain_seconds=5, allowed_origins="https://talks.example")
    async with staged(tmp_path, issuer, gateway=config) as stage:
        await (await stage.client(origin="https://talks.example")).fence()
        with pytest.raises(InvalidStatus):
            await stage.client(origin="https://evil.example")


async def test_a_websocket_may_come_over_a_connection_that_was_kept(stage: Stage) -> None:
    """As behind a proxy; it is served like any other, and refused like any other."""
    for path, status in (("/ws", 0), ("/nothing", 404)):
        kept = socket.create_connection(("127.0.0.1", stage.gateway.port))
        kept.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(kept, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await loop.sock_recv(kept, 4096)).startswith(b"HTTP/1.1 200 ")
        if status:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{stage.url}{path}", sock=kept)
            assert refused.value.response.status_code == status
        else:
            client = Client(await connect(f"{stage.url}{path}", sock=kept, compression=None))
            await client.fence()
            await client.close()


async def test_no_connection_outlives_the_gateway(stage: Stage) -> None:
    """Neither one that said nothing yet, nor one between requests, nor one that does not read."""
    async with asyncio.timeout(PATIENCE_S):
        silent = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
        halting = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
        halting[1].write(b"GET / HT")
        idle = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
        idle[1].write(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await idle[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await eventually(lambda: len(stage.gateway._lobby) == 2)
        closing = asyncio.create_task(stage.gateway.aclose())
        for reader, writer in (silent, halting, idle):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
        await closing
    assert len(stage.gateway._lobby) == 0


class Provider:
    """An OpenID Connect provider for public clients: one login, one code, PKCE required (RFC 7636)."""

    def __init__(self, issuer: LocalIssuer) -> None:
        self._issuer = issuer
        self._asked: dict[str, dict[str, str]] = {}
        self.url = ""

    async def authorize(self, request: web.Request) -> web.Response:
        """Who asks is logged in at once and sent back with a code."""
        query = dict(request.query)
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        code = secrets.token_urlsafe()
        self._asked[code] = query
        back = f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
        return web.Response(status=302, headers={"Location": back})

    async def token(self, request: web.Request) -> web.Response:
        """The code and what its challenge was made of, for a token."""
        form = await request.post()
        asked = self._asked.pop(str(form["code"]))
        challenge = challenge_of(str(form["code_verifier"]))
        if (challenge, form["client_id"]) != (asked["code_challenge"], asked["client_id"]):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": self._issuer.mint("ana"), "token_type": "Bearer"})

    async def keys(self, _: web.Request) -> web.Response:
        """The key set."""
        return web.json_response(self._issuer.jwks())


@asynccontextmanager
async def provided(issuer: LocalIssuer) -> AsyncIterator[Provider]:
    """A provider that is up."""
    provider = Provider(issuer)
    app = web.Application()
    app.router.add_get("/authorize", provider.authorize)
    app.router.add_post("/token", provider.token)
    app.router.add_get("/keys", provider.keys)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield provider
    await runner.cleanup()


def challenge_of(verifier: str) -> str:
    """RFC 7636, section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


async def test_a_login_elsewhere_makes_a_speaker(tmp_path: Path, issuer: LocalIssuer) -> None:
    """By what /config.json and the page's policy say, step by step as a page does it."""
    async with provided(issuer) as provider:
        config = GatewayConfig(
            drain_seconds=5,
            login_authorize_url=f"{provider.url}/authorize",
            login_token_url=f"{provider.url}/token",
            login_client_id=AUDIENCE,
        )
        issuers = Issuers(configured=Trust(ISSUER, AUDIENCE, f"{provider.url}/keys"))
        async with (
            staged(tmp_path, issuer, gateway=config, issuers=issuers) as stage,
            aiohttp.ClientSession() as http,
        ):
            base = f"http://127.0.0.1:{stage.gateway.port}"
            async with http.get(f"{base}/config.json") as answer:
                sign_in = (await answer.json())["signIn"]
            assert sign_in["local"] is False
            login = sign_in["login"]
            verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe()
            query = {
                "response_type": "code",
                "client_id": login["clientId"],
                "scope": login["scope"],
                "redirect_uri": f"{base}/speak",
                "state": state,
                "code_challenge": challenge_of(verifier),
                "code_challenge_method": "S256",
            }
            asked = http.get(login["authorizeUrl"], params=query, allow_redirects=False)
            async with asked as answer:
                back = urlsplit(answer.headers["Location"])
            came = {name: values[0] for name, values in parse_qs(back.query).items()}
            assert (f"{back.scheme}://{back.netloc}{back.path}", came["state"]) == (f"{base}/speak", state)
            form = {
                "grant_type": "authorization_code",
                "code": came["code"],
                "code_verifier": verifier,
                "client_id": login["clientId"],
                "redirect_uri": f"{base}/speak",
            }
            async with http.post(login["tokenUrl"], data=form) as answer:
                token = json.loads(await answer.read())["access_token"]
            speaker = await stage.client()
            await speaker.ask("sessionCreated", **CREATE, token=token)
            async with http.post(f"{base}/local/token", headers={"Origin": base}) as answer:
                assert answer.status == 404
