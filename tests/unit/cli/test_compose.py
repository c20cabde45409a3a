"""How `babelcast serve` configures the record of sessions."""

import asyncio
import ssl
from pathlib import Path

import pytest
from aiohttp import web

from babelcast.config import ConfigError
from cli.compose import _answers_encrypted, record_config
from tests.certificates import Authority

LIMIT = "MAX_CONCURRENT_STREAMS_PER_SPEAKER"


@pytest.mark.parametrize(
    ("environ", "own_issuer", "limit"),
    [
        ({}, True, 0),
        ({}, False, 1),
        ({LIMIT: "2"}, True, 2),
        ({LIMIT: "2"}, False, 2),
        ({LIMIT: ""}, True, 0),
    ],
)
def test_sessions_of_a_subject(environ: dict[str, str], own_issuer: bool, limit: int) -> None:
    """Tokens of the own issuer share a subject, so its sessions are not limited unless that is asked for."""
    made = record_config(environ, data_dir="/data", own_issuer=own_issuer)
    assert made.max_concurrent_streams_per_speaker == limit
    assert made.data_dir == "/data"


def test_a_wrong_limit() -> None:
    """A limit that makes no sense is named."""
    with pytest.raises(ConfigError, match=LIMIT):
        record_config({LIMIT: "many"}, data_dir="/data", own_issuer=True)


async def test_an_own_gateway_is_asked_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS too, whatever proxy the environment names for the rest of the world."""

    async def settings(_: web.Request) -> web.Response:
        return web.json_response({"languages": {"sources": ["en"], "targets": {"en": ["es"]}}})

    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    authority = Authority.make()
    paths = authority.sign("talks.example").write(tmp_path, ca=authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths.cert, paths.key)
    app = web.Application()
    app.router.add_get("/config.json", settings)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        url = f"wss://127.0.0.1:{runner.addresses[0][1]}"
        known = await asyncio.to_thread(_answers_encrypted, url)
    finally:
        await runner.cleanup()
    assert (known.source, known.targets) == (["en"], {"en": ["es"]})
