"""Pages of a folder of the test's own, served on a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.errors import ServiceUnavailable
from gateway.config import GatewayConfig
from gateway.web.app import application
from gateway.web.assets import Assets
from gateway.web.serving import PageServer
from gateway.web.site import Site


@dataclass(slots=True)
class Tongues:
    """Languages that are known, or cannot be asked for."""

    reachable: bool = True

    async def sources(self) -> Sequence[str]:
        if not self.reachable:
            raise ServiceUnavailable("Nobody knows.")
        return ["en", "es"]

    async def targets(self) -> Mapping[str, Sequence[str]]:
        return {"en": ["es", "fr"], "es": ["en"]}


@dataclass(slots=True)
class Scene:
    """What the tests may change while the pages are served."""

    folder: Path
    ready: bool = True
    now_s: float = 1000.0
    languages: Tongues = field(default_factory=Tongues)


class Later(asyncio.Protocol):
    """Takes over where a WebSocket was asked for, says what it was given, and closes."""

    def __init__(self) -> None:
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(b"websocket|" + data)
        self._transport.close()


Serve = Callable[..., AbstractAsyncContextManager[aiohttp.ClientSession]]


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalIssuer:
    """One key for all tests, since making one takes long."""
    return LocalIssuer.open(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Three pages and what they are made of."""
    for name in ("listen", "stage", "speak"):
        (tmp_path / f"{name}.html").write_text(f"<!doctype html><title>{name}</title>" + " " * 300)
    (tmp_path / "ui.css").write_text("body { margin: 0 }\n" * 20)
    (tmp_path / "icon.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "net.js").write_text("export const a = 1;\n" * 100)
    (tmp_path / "notes.txt").write_text("not for anybody")
    return Scene(tmp_path)


@pytest.fixture
def site(scene: Scene, issuer: LocalIssuer) -> Site:
    """A gateway with a local issuer and nothing configured."""
    return Site(
        config=GatewayConfig(),
        issuer=issuer,
        languages=scene.languages,
        ready=lambda: scene.ready,
        clock=lambda: scene.now_s,
        assets=Assets(scene.folder),
    )


@pytest.fixture
def serve(site: Site) -> Serve:
    """Serves the pages with a configuration; gives a client whose addresses are paths."""

    @contextlib.asynccontextmanager
    async def served(
        config: GatewayConfig | None = None, *, local: bool = True, more: Sequence[web.RouteDef] = ()
    ) -> AsyncIterator[aiohttp.ClientSession]:
        configured = replace(
            site,
            config=config or site.config,
            issuer=site.issuer if local else None,
            more=more,
        )
        pages = PageServer(application(configured))
        await pages.open()
        server = await asyncio.get_running_loop().create_server(
            lambda: pages.connection(Later), "127.0.0.1", 0
        )
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            async with aiohttp.ClientSession(base, auto_decompress=False) as client:
                yield client
        finally:
            server.close()
            await pages.aclose()

    return served
