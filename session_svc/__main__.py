"""`python -m session_svc`: the session service alone."""

import sys
from collections.abc import Mapping

from babelcast import process
from babelcast.bus.config import BusConfig
from babelcast.config import load
from babelcast.rpc.credentials import Protection
from session_svc.config import SessionConfig
from session_svc.server import SessionServer


async def start(environ: Mapping[str, str]) -> SessionServer:
    """Start the service as the environment says."""
    return await SessionServer.start(
        load(SessionConfig, environ), bus=load(BusConfig, environ), protection=Protection.of(environ)
    )


if __name__ == "__main__":
    sys.exit(process.run(start, name="session_svc"))
