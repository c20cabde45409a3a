"""The gateway's port over TLS."""

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from babelcast.auth.local_issuer import JWKS_PATH, LocalIssuer
from babelcast.config import ConfigError
from babelcast.rpc import tls_files
from gateway.config import GatewayConfig
from gateway.tls import server_tls
from tests.certificates import Authority
from tests.integration.gateway.client import CHUNK, Client
from tests.integration.gateway.stage import Stage, staged

HSTS = "Strict-Transport-Security"


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One for all tests."""
    return Authority.make()


@pytest.fixture(autouse=True)
def looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for files to be looked at."""
    monkeypatch.setattr(tls_files, "LOOK_EVERY_S", 0.0)


def encrypted(directory: Path, authority: Authority, *names: str) -> GatewayConfig:
    """The settings of a gateway with a certificate of this authority."""
    paths = authority.sign(*(names or ("127.0.0.1", "localhost"))).write(directory, ca=authority.pem)
    return GatewayConfig(drain_seconds=5, tls_cert=paths.cert, tls_key=paths.key)


@pytest.fixture
async def stage(tmp_path: Path, issuer: LocalIssuer, authority: Authority) -> AsyncIterator[Stage]:
    """Everything, with TLS at the gateway."""
    async with staged(tmp_path, issuer, gateway=encrypted(tmp_path / "tls", authority)) as running:
        yield running


def trusting(authority: Authority) -> ssl.SSLContext:
    """A client that knows this authority alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.pem.decode())
    return context


async def client(stage: Stage, authority: Authority, *, token: str = "") -> Client:
    """A WebSocket over TLS; closed at the end of the test."""
    url = f"wss://127.0.0.1:{stage.gateway.port}/"
    made = await Client.open(url, token=token, ssl=trusting(authority))
    stage.clients.callback(made.socket.transport.abort)
    return made


async def shown(stage: Stage, context: ssl.SSLContext) -> bytes:
    """The certificate that a newcomer is shown; raises ssl.SSLError when it does not trust it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port, ssl=context)
    tls = writer.get_extra_info("ssl_object")
    found = tls.getpeercert(binary_form=True)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    return bytes(found)


async def test_a_talk_over_tls(stage: Stage, authority: Authority) -> None:
    """Pages, keys, tokens, audio in and captions out; links say https."""
    speaker = await client(stage, authority, token=stage.token())
    created = await speaker.ask("sessionCreated", action="createSession", sourceLanguage="en")
    assert created["joinUrl"].startswith("https://127.0.0.1:")
    hearing = await stage.transcription.opened()
    await speaker.socket.send(CHUNK * 3)
    await hearing.heard(3 * len(CHUNK))
    listener = await client(stage, authority)
    await listener.ask(
        "sessionJoined", action="joinSession", sessionId=created["sessionId"], targetLanguage="en"
    )
    hearing.final(0, "Good evening.")
    assert (await listener.until("transcript"))["text"] == "Good evening."
    async with aiohttp.ClientSession(f"https://127.0.0.1:{stage.gateway.port}") as http:
        async with http.get(JWKS_PATH, ssl=trusting(authority)) as keys:
            assert await keys.json() == stage.issuer.jwks()
        async with http.get(f"/sessions/{created['sessionId']}/qr.svg", ssl=trusting(authority)) as picture:
            assert "https://127.0.0.1" in await picture.text()


async def test_every_answer_asks_for_tls_from_now_on(stage: Stage, authority: Authority) -> None:
    """Pages, refusals of pages, of upgrades, and of what is no request."""
    async with aiohttp.ClientSession(f"https://127.0.0.1:{stage.gateway.port}") as http:
        for path in ("/", "/nothing"):
            async with http.get(path, ssl=trusting(authority)) as page:
                assert page.headers[HSTS] == "max-age=31536000"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/nothing", ssl=trusting(authority))
        assert refused.value.headers is not None
        assert HSTS in refused.value.headers
    for request in (
        b"G\0T / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nCookie: " + b"x" * 20_000,
        b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", stage.gateway.port, ssl=trusting(authority)
        )
        writer.write(request)
        assert HSTS.encode() in await reader.read()
        writer.close()


async def test_a_new_certificate_is_shown_without_a_restart(
    stage: Stage, authority: Authority, tmp_path: Path
) -> None:
    """To newcomers; who is connected already goes on, and a half written one changes nothing."""
    early = await client(stage, authority)
    first = await shown(stage, trusting(authority))
    successor = Authority.make("successor")
    made = successor.sign("127.0.0.1")
    (tmp_path / "tls" / "cert.pem").write_bytes(made.cert)  # its key is still to come
    assert await shown(stage, trusting(authority)) == first
    made.write(tmp_path / "tls", ca=successor.pem)
    assert await shown(stage, trusting(successor)) != first
    with pytest.raises(ssl.SSLCertVerificationError):
        await shown(stage, trusting(authority))
    await early.fence()


async def test_old_protocols_are_refused(stage: Stage, authority: Authority) -> None:
    """TLS 1.2 and 1.3 are spoken, 1.1 is not; nor is plain HTTP."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(authority)
        context.minimum_version = context.maximum_version = version
        await shown(stage, context)
    old = trusting(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shown(stage, old)
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert not (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()


def test_half_a_configuration_is_refused(tmp_path: Path, authority: Authority) -> None:
    """Rather than serving in the clear what was meant to be encrypted."""
    config = encrypted(tmp_path, authority)
    with pytest.raises(ConfigError, match="TLS_KEY"):
        server_tls(dataclasses.replace(config, tls_key=""))
    with pytest.raises(ConfigError, match="cannot be read"):
        server_tls(dataclasses.replace(config, tls_cert=str(tmp_path / "nothing")))
    assert server_tls(GatewayConfig()) is None
