"""How many connections a gateway process holds."""

import logging
import resource
from typing import Final

from gateway.config import GatewayConfig

MOST_FILES: Final = 65_536
"""Above this a process would need more memory for its clients than one has."""
KEPT_FILES: Final = 256
"""For everything that is no client: services, bus, logs, certificates, the pages' files."""

log = logging.getLogger(__name__)


def raise_open_files() -> None:
    """Have as many files open as the system lets us, within reason; the usual soft limit is for programs that
    use `select`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections(config: GatewayConfig) -> int:
    """MAX_CONNECTIONS, or what the open files leave: accepting must not take the last of them."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if soft == resource.RLIM_INFINITY else soft
    allowed = max(1, files - KEPT_FILES)
    return min(config.max_connections, allowed) if config.max_connections else allowed
