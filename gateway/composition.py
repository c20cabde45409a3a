"""Puts a gateway together with its bus, in this process or in several others."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from babelcast.archive.base import Archive
from babelcast.archive.config import ArchiveConfig
from babelcast.archive.opening import open_archive
from babelcast.bus.base import Bus
from babelcast.bus.config import BusConfig
from babelcast.bus.opening import open_bus
from babelcast.clock import wall_clock_ms
from babelcast.config import load
from babelcast.rpc.credentials import Calling
from gateway import capacity, garbage
from gateway.config import GatewayConfig
from gateway.server import Gateway, Issuers, Neighbours
from gateway.workers import Workers


@dataclass(slots=True)
class GatewayOnBus:
    """A gateway with the bus and the archive that it has for itself."""

    gateway: Gateway
    bus: Bus
    archive: Archive

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.gateway.port

    def hurry(self) -> None:
        """Cut a drain short."""
        self.gateway.hurry()

    async def aclose(self) -> None:
        """Drain the gateway, and let go of bus and archive."""
        await self.gateway.aclose()
        await self.bus.aclose()
        await self.archive.aclose()


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
    archive_config, calling = load(ArchiveConfig, environ), Calling.of(environ)
    capacity.raise_open_files()
    neighbours = Neighbours(on_bus=bool(bus_config.servers), on_port=on_port)
    async with contextlib.AsyncExitStack() as stack:
        bus = await open_bus(bus_config, retention_s=config.resume_window_seconds, clock=time.monotonic)
        stack.push_async_callback(bus.aclose)
        archive = await open_archive(bus_config, archive_config, clock_ms=wall_clock_ms)
        stack.push_async_callback(archive.aclose)
        gateway = await Gateway.start(
            config, bus=bus, archive=archive, issuers=issuers, neighbours=neighbours, calling=calling
        )
        stack.pop_all()
    garbage.settle()
    return GatewayOnBus(gateway, bus, archive)
