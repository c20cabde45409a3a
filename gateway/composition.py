"""Puts a gateway together with its bus, in this process or in several others."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from babelcast.bus.base import Bus
from babelcast.bus.config import BusConfig
from babelcast.bus.opening import open_bus
from babelcast.config import load
from gateway import garbage
from gateway.config import GatewayConfig
from gateway.server import Gateway, Issuers, Neighbours
from gateway.workers import Workers


@dataclass(slots=True)
class GatewayOnBus:
    """A gateway and the bus that it has for itself."""

    gateway: Gateway
    bus: Bus

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.gateway.port

    def hurry(self) -> None:
        """Cut a drain short."""
        self.gateway.hurry()

    async def aclose(self) -> None:
        """Drain the gateway, and let go of the bus."""
        await self.gateway.aclose()
        await self.bus.aclose()


async def start_gateway(environ: Mapping[str, str], *, issuers: Issuers) -> GatewayOnBus | Workers:
    """A gateway in this process, or as many in others as GATEWAY_WORKERS says, which find `issuers` in their
    environment.

    Raises: ConfigError, ServiceUnavailable.
    """
    if load(GatewayConfig, environ).gateway_workers > 1:
        return await Workers.start(environ)
    return await start_here(environ, issuers=issuers)


async def start_here(environ: Mapping[str, str], *, issuers: Issuers, on_port: bool = False) -> GatewayOnBus:
    """A gateway in this process; without BUS_URL, its bus too. `on_port` says that others share the port.

    Raises: ConfigError, ServiceUnavailable.
    """
    config, bus_config = load(GatewayConfig, environ), load(BusConfig, environ)
    bus = await open_bus(bus_config, retention_s=config.resume_window_seconds, clock=time.monotonic)
    neighbours = Neighbours(on_bus=bool(bus_config.servers), on_port=on_port)
    try:
        gateway = await Gateway.start(config, bus=bus, issuers=issuers, neighbours=neighbours)
    except BaseException:
        await bus.aclose()
        raise
    garbage.settle()
    return GatewayOnBus(gateway, bus)
