"""The pages' server, without a socket of its own: it is handed connections."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias, cast

from aiohttp import web

from gateway import measuring
from gateway.web.security import EVERYWHERE, transport_headers

IDLE_S = 60.0
# How long answers that are being given may take when the gateway stops; streams are told before.
FINISH_S = 2.0
NAME = "Babelcast"

MakeProtocol: TypeAlias = Callable[[], asyncio.Protocol]


class PageServer:
    """Serves an application on connections that come from elsewhere. `open` first, `aclose` last."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=FINISH_S)

    async def open(self) -> None:
        """Be ready for connections."""
        await self._runner.setup()

    async def aclose(self) -> None:
        """Close all connections; idempotent."""
        await self._runner.cleanup()

    @property
    def open_connections(self) -> int:
        """How many it holds."""
        server = self._runner.server
        return len(server.connections) if isinstance(server, web.Server) else 0

    def connection(self, websocket: MakeProtocol) -> asyncio.Protocol:
        """Serves one connection; `websocket` takes over if it asks for a WebSocket later."""
        return PageConnection(cast(web.Server, self._runner.server), websocket)  # there is one from `open` on


class PageConnection(web.RequestHandler):
    """One connection that asks for pages, one after another."""

    __slots__ = ("_websocket",)

    def __init__(self, server: web.Server, websocket: MakeProtocol) -> None:
        self._websocket = websocket
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            access_log=cast(logging.Logger, None),  # which aiohttp knows as none at all
            logger=_quiet_logger(),
            lingering_time=0.0,
        )

    def become_websocket(self, request: web.BaseRequest) -> None:
        """Hand the connection over, beginning with this request. No answer can be given to it any more.

        Browsers open a connection for each WebSocket, but proxies send one over any connection that they have
        kept from earlier requests.
        """
        transport = self.transport
        if transport is None:
            return
        self.transport = None  # or it would be closed with what follows
        self.connection_lost(None)
        websocket = self._websocket()
        transport.set_protocol(websocket)
        websocket.connection_made(transport)
        lines = [f"{request.method} {request.raw_path} HTTP/1.1".encode()]
        lines += [name + b": " + value for name, value in request.raw_headers]
        websocket.data_received(b"\r\n".join([*lines, b"", b""]))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what was sent
    ) -> web.StreamResponse:
        """What aiohttp says, without what it quotes of the request."""
        response = super().handle_error(request, status, exc, "That is no request.")
        measuring.answered(response.status)
        always = {**EVERYWHERE, **transport_headers(self.transport)}
        response.headers.update({**always, "Cache-Control": "no-store", "Server": NAME})
        return response


def _quiet_logger() -> logging.Logger:
    # It would log what strangers send, and the requests of handlers that failed, which we log ourselves.
    logger = logging.getLogger("gateway.web.aiohttp")
    logger.setLevel(logging.CRITICAL)
    return logger
