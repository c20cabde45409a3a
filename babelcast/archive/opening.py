"""The archive that is configured: on NATS where gateways are joined by it, else in this process."""

from collections.abc import Callable

from babelcast.archive.base import Archive
from babelcast.archive.config import ArchiveConfig
from babelcast.archive.in_process import InProcessArchive
from babelcast.archive.nats import NatsArchive
from babelcast.bus.config import BusConfig


async def open_archive(bus: BusConfig, limits: ArchiveConfig, *, clock_ms: Callable[[], int]) -> Archive:
    """The archive, connected. `clock_ms` gives epoch ms.

    Raises: ConfigError, ServiceUnavailable when no server answers, InvalidConfiguration.
    """
    if not bus.servers:
        return in_process(limits, clock_ms=clock_ms)
    return await NatsArchive.open(bus, limits, clock_ms=clock_ms)


def in_process(limits: ArchiveConfig, *, clock_ms: Callable[[], int]) -> InProcessArchive:
    """One in memory."""
    return InProcessArchive(
        retention_s=limits.retention_s, clock_ms=clock_ms, max_bytes=limits.transcript_max_bytes
    )
