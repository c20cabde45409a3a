"""The pages over HTTP: who is given what, what browsers are told to keep, and what goes with every answer."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from babelcast.auth.local_issuer import JWKS_PATH
from babelcast.errors import ServiceUnavailable
from gateway.config import GatewayConfig
from gateway.web import app
from gateway.web.app import application
from gateway.web.pages import QR_AT_ONCE, QR_PER_S
from gateway.web.security import EVERYWHERE
from gateway.web.site import Site

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ROUTES = (
    "/",
    "/golden-eagle-427",
    "/golden-eagle-427/stage",
    "/speak",
    "/assets/js/net.js",
    "/favicon.ico",
    "/config.json",
    "/sessions/golden-eagle-427/qr.svg",
    "/healthz",
    "/readyz",
    JWKS_PATH,
)
MISSING = ("/nothing", "/assets/nothing.js", "/golden-eagle-42", "/sessions/x/qr.svg", "/local/nothing")


@pytest.mark.parametrize("headers", [BROWSER, {}])
async def test_every_route_answers_with_what_keeps_strangers_out(serve: Any, headers: dict[str, str]) -> None:
    """Whether there is something or not, and to HEAD with the same headers and no body."""
    async with serve() as http:
        for path in (*ROUTES, *MISSING):
            async with http.get(path, headers=headers) as got, http.head(path, headers=headers) as asked:
                assert got.status == asked.status == (404 if path in MISSING else 200)
                assert await got.read()
                assert await asked.read() == b""
                told = {name: value for name, value in got.headers.items() if name != "Date"}
                assert told == {name: value for name, value in asked.headers.items() if name != "Date"}
            for name, value in EVERYWHERE.items():
                if name == "Content-Security-Policy":
                    assert told[name].startswith("default-src 'none'; ")
                    assert "unsafe" not in told[name]
                    assert "frame-ancestors 'none'" in told[name]
                else:
                    assert told[name] == value
            assert told["Cache-Control"] in {"no-store", "no-cache"}


def test_the_routes_here_are_all_there_are(site: Site) -> None:
    """So that a new one is looked at here as well."""
    known = {path.replace("golden-eagle-427", "{code}").replace("js/net.js", "{name}") for path in ROUTES}
    assert {resource.canonical for resource in application(site).router.resources()} == {
        *known,
        "/local/token",
    }


def test_the_documentation_names_all_routes(site: Site) -> None:
    """With what they give."""
    page = (Path(__file__).parents[4] / "docs" / "pages.md").read_text()
    for resource in application(site).router.resources():
        assert f"| `{resource.canonical}` |" in page


async def test_browsers_get_a_page_and_others_a_text(serve: Any) -> None:
    """At the same address, which says so to caches."""
    async with serve() as http:
        for path, plain in (("/", "babelcast speak"), ("/golden-eagle-427", "listen golden-eagle-427 --to")):
            async with http.get(path, headers=BROWSER) as page, http.get(path) as text:
                assert (page.content_type, text.content_type) == ("text/html", "text/plain")
                assert b"<title>listen" in gzip.decompress(await page.read())
                assert plain in await text.text()
                assert "Accept" in page.headers["Vary"].split(", ")
                assert text.headers["Vary"] == "Accept"


async def test_pages_may_open_websockets_here_only(serve: Any) -> None:
    """And where PUBLIC_URL says that here is; what a Host header brings in is a host or nothing."""
    async with serve(GatewayConfig(public_url="https://talks.example/")) as http:
        async with http.get("/speak", headers={"Host": "10.0.0.7:8080"}) as page:
            connect = directive(page, "connect-src")
        assert connect == (
            "'self' ws://10.0.0.7:8080 wss://10.0.0.7:8080 ws://talks.example wss://talks.example"
        )
        async with http.get("/speak", headers={"Host": "x; script-src *"}) as page:
            assert directive(page, "connect-src") == "'self' ws://talks.example wss://talks.example"
            assert directive(page, "script-src") == "'self'"


async def test_a_login_may_be_asked_for_a_token(serve: Any) -> None:
    """By the speaker's page alone, at the endpoint that is configured."""
    config = GatewayConfig(
        login_authorize_url="https://login.example/authorize",
        login_token_url="https://token.example:8443/oauth2/token",
        login_client_id="pages",
    )
    async with serve(config, local=False) as http:
        async with http.get("/speak") as page:
            assert directive(page, "connect-src").endswith(" https://token.example:8443")
            assert directive(page, "form-action") == "'self' https://token.example:8443"
        async with http.get("/", headers=BROWSER) as page:
            assert "token.example" not in page.headers["Content-Security-Policy"]
        async with http.get("/config.json") as answer:
            assert (await answer.json())["signIn"] == {
                "local": False,
                "login": {
                    "authorizeUrl": "https://login.example/authorize",
                    "tokenUrl": "https://token.example:8443/oauth2/token",
                    "clientId": "pages",
                    "scope": "openid",
                },
            }


async def test_the_stage_may_be_framed_where_that_is_configured(serve: Any) -> None:
    """And no other page."""
    async with (
        serve(GatewayConfig(stage_frame_origins="https://hall.example")) as http,
        http.get("/golden-eagle-427/stage") as stage,
        http.get("/speak") as page,
    ):
        assert directive(stage, "frame-ancestors") == "https://hall.example"
        assert "X-Frame-Options" not in stage.headers
        assert directive(page, "frame-ancestors") == "'none'"
        assert page.headers["X-Frame-Options"] == "DENY"


async def test_a_file_is_sent_once_and_again_when_it_has_changed(serve: Any, scene: Any) -> None:
    """Packed for those who can unpack it; 304 with its ETag until then."""
    async with serve() as http:
        async with http.get("/assets/js/net.js") as packed:
            body = await packed.read()
            assert packed.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(body) == (scene.folder / "js" / "net.js").read_bytes()
            assert len(body) < 100
        async with http.get("/assets/js/net.js", headers={"Accept-Encoding": "br, gzip;q=0"}) as plain:
            assert "Content-Encoding" not in plain.headers
            assert await plain.read() == (scene.folder / "js" / "net.js").read_bytes()
        assert packed.headers["ETag"] != plain.headers["ETag"]
        assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
        for etag in (packed.headers["ETag"], f'"other", W/{packed.headers["ETag"]}'):
            async with http.get("/assets/js/net.js", headers={"If-None-Match": etag}) as known:
                assert (known.status, await known.read()) == (304, b"")
                assert known.headers["ETag"] == packed.headers["ETag"]
                assert known.headers["Cache-Control"] == "no-cache"
        (scene.folder / "js" / "net.js").write_text("export const a = 2;\n" * 101)
        etag = packed.headers["ETag"]
        async with http.get("/assets/js/net.js", headers={"If-None-Match": etag}) as changed:
            assert changed.status == 200
            assert b"a = 2" in gzip.decompress(await changed.read())


@pytest.mark.parametrize(
    "path",
    ["notes.txt", "listen.html", "../gateway.py", "%2e%2e/server.py", "/etc/passwd", ".hidden.js", "js"],
)
async def test_other_files_are_not_sent(serve: Any, path: str) -> None:
    """Nor pages under another name, nor what lies elsewhere."""
    async with serve() as http, http.get(f"/assets/{path}") as answer:
        assert answer.status == 404


async def test_a_page_that_is_not_shipped_is_not_there(serve: Any, scene: Any) -> None:
    """But for the text of an invitation, which needs no page."""
    for page in scene.folder.glob("*.html"):
        page.unlink()
    async with serve() as http:
        for path, status in (("/", 200), ("/golden-eagle-427", 200), ("/speak", 404)):
            async with http.get(path, headers=BROWSER) as answer:
                assert answer.status == status


async def test_what_is_not_there_is_said_in_the_asker_s_way(serve: Any) -> None:
    """A page for browsers, a line for programs; and which methods there are."""
    async with serve() as http:
        async with http.get("/nothing", headers=BROWSER) as page, http.get("/nothing") as line:
            assert "<h1>There is nothing here.</h1>" in await page.text()
            assert directive(page, "style-src") == "'self'"
            assert await line.text() == "There is nothing here.\n"
        async with http.post("/speak", headers=BROWSER) as refused:
            assert refused.status == 405
            assert set(refused.headers["Allow"].split(",")) == {"GET", "HEAD"}
            assert "<h1>That cannot be done here.</h1>" in await refused.text()
        async with http.get("/local/token") as refused:
            assert (refused.status, refused.headers["Allow"]) == (405, "POST")


async def test_the_configuration_tells_what_pages_need(serve: Any, scene: Any) -> None:
    """Languages too, unless they cannot be asked for, which does not keep a page from starting."""
    async with serve() as http:
        async with http.get("/config.json") as answer:
            assert await answer.json() == {
                "publicUrl": "",
                "signIn": {"local": True, "login": None},
                "languages": {"sources": ["en", "es"], "targets": {"en": ["es", "fr"], "es": ["en"]}},
            }
            assert answer.headers["Cache-Control"] == "no-store"
        scene.languages.reachable = False
        async with http.get("/config.json") as answer:
            assert (await answer.json())["languages"] is None


async def test_readiness_shows_and_connections_are_not_kept(serve: Any, scene: Any) -> None:
    """While the gateway takes nobody, so that the next request goes elsewhere."""
    async with serve() as http:
        async with http.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (200, "ready\n")
            assert "Connection" not in answer.headers
        scene.ready = False
        async with http.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (503, "not ready\n")
            assert answer.headers["Connection"] == "close"
        async with http.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "alive\n")


async def test_a_handler_that_fails_takes_nothing_with_it(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its route and without the address; what is known to be temporary is said to be."""

    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("broken")

    async def away(_: web.Request) -> web.Response:
        raise ServiceUnavailable("Away.", retry_after_s=7)

    async def picky(_: web.Request) -> web.Response:
        raise web.HTTPNotFound(text="There is no Klingon here: en, es.\n")

    more = [web.get("/x/{secret}", broken), web.get("/away", away), web.get("/picky", picky)]
    async with serve(more=more) as http:
        async with http.get("/x/golden?token=t") as answer:
            assert (answer.status, await answer.text()) == (500, "Something went wrong here.\n")
        async with http.get("/away") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
        async with http.get("/picky") as answer:
            assert await answer.text() == "There is no Klingon here: en, es.\n"
        async with http.get("/healthz") as answer:
            assert answer.status == 200
    [record] = [record for record in caplog.records if record.message == "a page failed"]
    assert vars(record)["route"] == "/x/{secret}"
    assert "golden" not in caplog.text


async def test_a_stream_that_fails_breaks_off(serve: Any) -> None:
    """So that nobody takes it for whole."""

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise RuntimeError("broken")

    async with serve(more=[web.get("/stream", stream)]) as http, http.get("/stream") as answer:
        for name, value in EVERYWHERE.items():
            assert answer.headers[name] == value
        with pytest.raises(aiohttp.ClientError):
            await answer.read()


async def test_who_does_not_read_is_cut_off(serve: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In time, so that nobody makes the gateway keep answers for them."""
    monkeypatch.setattr(app, "ANSWER_WITHIN_S", 0.2)
    (scene.folder / "big.png").write_bytes(bytes(32_000_000))
    async with serve() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http._base_url.port, limit=1024)
        writer.write(b"GET /assets/big.png HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(10):
                await reader.readuntil(b"\r\n")
                await asyncio.sleep(0.5)  # it reads nothing until it is too late
                await reader.readexactly(31_000_000)
        writer.close()


async def test_what_is_no_request_is_refused_with_the_same_headers(serve: Any) -> None:
    """And nothing of it comes back."""
    async with serve() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http._base_url.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nBad Header<script>: y\r\n\r\n")
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()
        writer.close()
    assert answer.split(" ")[1] == "400"
    assert "script>" not in answer
    for name, value in EVERYWHERE.items():
        assert f"\r\n{name}: {value}\r\n" in answer


async def test_a_connection_that_was_kept_may_become_a_websocket(serve: Any) -> None:
    """As proxies have it; the WebSocket side is given the request as it came."""
    upgrade = b"GET /ws?a=%20b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade"
    async with serve() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http._base_url.port)
        async with asyncio.timeout(10):
            for _ in range(2):
                writer.write(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            writer.write(upgrade + b"\r\n\r\n")
            assert await reader.read() == b"websocket|" + upgrade + b"\r\n\r\n"
        writer.close()
        async with http.get("/healthz") as answer:
            assert answer.status == 200


async def test_qr_codes_lead_where_invitations_do(serve: Any) -> None:
    """To PUBLIC_URL, or else to the host that was asked; never to what is no host."""
    path = "/sessions/golden-eagle-427/qr.svg"
    async with serve() as http:
        async with http.get(path, headers={"Host": "hall.local:8080"}) as here:
            assert here.content_type == "image/svg+xml"
            assert "<title>http://hall.local:8080/golden-eagle-427</title>" in await here.text()
        async with http.get(
            path, headers={"Host": "hall.local:8080", "If-None-Match": here.headers["ETag"]}
        ) as known:
            assert known.status == 304
        async with http.get(path, headers={"Host": "a b"}) as refused:
            assert refused.status == 400
    async with serve(GatewayConfig(public_url="https://talks.example")) as http, http.get(path) as there:
        assert "<title>https://talks.example/golden-eagle-427</title>" in await there.text()


@pytest.mark.parametrize(
    ("trusted", "said", "scheme"),
    [
        ("127.0.0.0/8", "https", "https"),
        ("127.0.0.0/8", "http", "http"),
        ("127.0.0.0/8", "https, http", "http"),
        ("10.0.0.0/8", "https", "http"),
        ("", "https", "http"),
    ],
)
async def test_a_trusted_proxy_says_that_it_is_asked_over_tls(
    serve: Any, trusted: str, said: str, scheme: str
) -> None:
    """So QR codes lead there; nobody else is believed, and of several proxies the nearest."""
    async with (
        serve(GatewayConfig(trusted_proxies=trusted)) as http,
        http.get(
            "/sessions/golden-eagle-427/qr.svg", headers={"Host": "a.example", "X-Forwarded-Proto": said}
        ) as answer,
    ):
        assert f"<title>{scheme}://a.example/golden-eagle-427</title>" in await answer.text()


async def test_qr_codes_are_not_made_without_end(serve: Any, scene: Any) -> None:
    """Each takes the time of everybody: so many at once for an address, and some a second; nor long ones."""
    async with serve() as http:

        async def status(number: int, **headers: str) -> int:
            async with http.get(f"/sessions/golden-eagle-{number}/qr.svg", headers=headers) as answer:
                return int(answer.status)

        assert await status(100, Host="a." * 700 + "example") == 400
        assert {await status(100 + number) for number in range(QR_AT_ONCE)} == {200}
        assert await status(100) == 429
        scene.now_s += 1 / QR_PER_S
        assert await status(100) == 200


async def test_a_local_issuer_shows_its_keys(serve: Any, issuer: Any) -> None:
    """And without one there is neither a key set nor a token to be had."""
    async with serve() as http, http.get(JWKS_PATH) as answer:
        assert json.loads(await answer.read()) == issuer.jwks()
    async with (
        serve(local=False) as http,
        http.get(JWKS_PATH) as answer,
        http.post("/local/token") as asked,
    ):
        assert (answer.status, asked.status) == (404, 404)


def directive(answer: aiohttp.ClientResponse, name: str) -> str:
    """What a page's policy says of something."""
    for each in answer.headers["Content-Security-Policy"].split("; "):
        if each.startswith(f"{name} "):
            return each.removeprefix(f"{name} ")
    return ""
