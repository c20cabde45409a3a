"""Plain HTTP on the WebSocket's port."""

import asyncio
import json

import aiohttp
import pytest

from babelcast.auth.local_issuer import JWKS_PATH
from gateway.web.security import EVERYWHERE
from tests.integration.gateway.stage import Stage


async def get(stage: Stage, path: str) -> tuple[int, str, str]:
    """Status, body and content type of a page."""
    url = f"http://127.0.0.1:{stage.gateway.port}{path}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, await response.text(), response.content_type


async def test_pages(stage: Stage) -> None:
    """Health, keys, a welcome, an invitation to a session, and nothing else."""
    assert (await get(stage, "/healthz"))[:2] == (200, "alive\n")
    assert (await get(stage, "/readyz?x=1"))[:2] == (200, "ready\n")
    status, keys, kind = await get(stage, JWKS_PATH)
    assert (status, json.loads(keys), kind) == (200, stage.issuer.jwks(), "application/json")
    assert "d" not in json.loads(keys)["keys"][0]
    status, welcome, _ = await get(stage, "/")
    assert status == 200
    assert "babelcast listen" in welcome
    status, invitation, _ = await get(stage, "/golden-eagle-427")
    assert (status, "babelcast listen golden-eagle-427" in invitation) == (200, True)
    for path in ("/golden-eagle-42", "/nothing", "/ws", "/prod", "/../etc/passwd", "/healthz/x"):
        assert (await get(stage, path))[0] == 404


@pytest.mark.parametrize("path", ["/nothing", "/healthz", "/wss"])
async def test_upgrades_elsewhere(stage: Stage, path: str) -> None:
    """Only the known paths are WebSockets."""
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{stage.url}{path}")
    assert refused.value.status == 404


@pytest.mark.parametrize("target", ["//[", "http://[x", "/%zz", "/\u00ff"])
async def test_targets_that_are_no_urls(stage: Stage, target: str) -> None:
    """They are refused, and the gateway lives on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    await (await stage.client()).fence()


async def test_half_an_upgrade_is_refused_like_anything(stage: Stage) -> None:
    """With the same headers as every other answer, so that no browser can be made to show it as a page."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
    writer.write(b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    answer = (await reader.read()).decode()
    assert answer.startswith("HTTP/1.1 400 ")
    for name, value in EVERYWHERE.items():
        assert f"\r\n{name}: {value}\r\n" in answer
    writer.close()
