"""What both stores do when a quota cannot be asked for."""

import logging

from babelcast.telemetry import instruments
from session_svc.store.base import Charge

log = logging.getLogger(__name__)


def let_in(charge: Charge) -> None:
    """A limiter that is down keeps nobody out: say so, without the key, and go on."""
    instruments.RATE_LIMITS_SKIPPED.add(1, {instruments.LIMIT: charge.what})
    log.warning("a rate limit could not be asked for", extra={"limit": charge.what})
