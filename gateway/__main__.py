"""`python -m gateway`: a gateway alone, in front of services elsewhere."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from babelcast import process
from babelcast.auth.config import AuthConfig, trust
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.bus.base import Bus
from babelcast.bus.config import BusConfig
from babelcast.bus.opening import open_bus
from babelcast.config import load
from gateway.config import GatewayConfig
from gateway.server import Gateway, Issuers


@dataclass(slots=True)
class GatewayOnBus:
    """A gateway and the bus that it has for itself."""

    gateway: Gateway
    bus: Bus

    async def aclose(self) -> None:
        """Drain the gateway, and let go of the bus."""
        await self.gateway.aclose()
        await self.bus.aclose()


async def start(environ: Mapping[str, str]) -> GatewayOnBus:
    """Compose the gateway from the environment. Without a configured issuer, the local one of DATA_DIR;
    without BUS_URL, the bus within this process.
    """
    config = load(GatewayConfig, environ)
    configured = trust(load(AuthConfig, environ))
    local = None if configured else LocalIssuer.open(Path(config.data_dir))
    bus = await open_bus(
        load(BusConfig, environ), retention_s=config.resume_window_seconds, clock=time.monotonic
    )
    try:
        gateway = await Gateway.start(config, bus=bus, issuers=Issuers(local=local, configured=configured))
    except BaseException:
        await bus.aclose()
        raise
    return GatewayOnBus(gateway, bus)


if __name__ == "__main__":
    sys.exit(process.run(start, name="gateway"))
