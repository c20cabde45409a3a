"""`python -m gateway`: a gateway alone, in front of services elsewhere."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from babelcast import process
from babelcast.auth.config import AuthConfig, trust
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.bus.in_process import InProcessBus
from babelcast.config import load
from gateway.config import GatewayConfig
from gateway.server import Gateway, Issuers


async def start(environ: Mapping[str, str]) -> Gateway:
    """Compose the gateway from the environment. Without a configured issuer, the local one of DATA_DIR."""
    config = load(GatewayConfig, environ)
    configured = trust(load(AuthConfig, environ))
    local = None if configured else LocalIssuer.open(Path(config.data_dir))
    bus = InProcessBus(retention_s=config.resume_window_seconds, clock=time.monotonic)
    return await Gateway.start(config, bus=bus, issuers=Issuers(local=local, configured=configured))


if __name__ == "__main__":
    sys.exit(process.run(start, name="gateway"))
