"""The pages' server, without a socket of its own: it is handed connections."""

import asyncio
import logging
from typing import cast

from aiohttp import web

from gateway.web.security import EVERYWHERE

IDLE_S = 60.0
# How long answers that are being given may take when the gateway stops; streams are told before.
FINISH_S = 2.0


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

    def connection(self) -> asyncio.Protocol:
        """Serves one connection."""
        return _PageConnection(
            cast(web.Server, self._runner.server),  # there is one from `open` on
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            access_log=cast(logging.Logger, None),  # which aiohttp knows as none at all
            logger=_quiet_logger(),
            lingering_time=0.0,
        )


class _PageConnection(web.RequestHandler):
    """Answers with our headers even what could not be read."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what was sent
    ) -> web.StreamResponse:
        """What aiohttp says, without what it quotes of the request."""
        response = super().handle_error(request, status, exc, "That is no request.")
        response.headers.update({**EVERYWHERE, "Cache-Control": "no-store"})
        response.headers["Server"] = ""
        return response


def _quiet_logger() -> logging.Logger:
    # It would log what strangers send, and the requests of handlers that failed, which we log ourselves.
    logger = logging.getLogger("gateway.web.aiohttp")
    logger.setLevel(logging.CRITICAL)
    return logger
