"""`python -m session_svc`: the session service alone."""

import asyncio
import logging
import os
import signal
import sys

from babelcast import config
from babelcast.errors import ServiceUnavailable
from session_svc.config import SessionConfig
from session_svc.server import SessionServer


async def serve(settings: SessionConfig) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    server = await SessionServer.start(settings)
    try:
        await stop.wait()
    finally:
        await server.aclose()


def main() -> int:
    """Run; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    try:
        settings = config.load(SessionConfig, os.environ)
        asyncio.run(serve(settings))
    except (config.ConfigError, ServiceUnavailable) as error:
        logging.getLogger("session_svc").error("cannot serve: %s", error)  # noqa: TRY400 - no trace for these
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
