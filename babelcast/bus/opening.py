"""The bus that is configured."""

from collections.abc import Callable

from babelcast.bus.base import Bus
from babelcast.bus.config import BusConfig
from babelcast.bus.in_process import InProcessBus
from babelcast.bus.nats.bus import NatsBus


async def open_bus(config: BusConfig, *, retention_s: float, clock: Callable[[], float]) -> Bus:
    """The bus that is configured, connected. `clock` gives seconds that only go forward.

    Raises: ConfigError, ServiceUnavailable when no server answers, InvalidConfiguration when one answers that
    cannot carry it.
    """
    if not config.servers:
        return InProcessBus(retention_s=retention_s, clock=clock)
    return await NatsBus.open(config, retention_s=retention_s, clock=clock)
