"""How long a connection may last, and what it is told before it ends. Pure."""

from dataclasses import dataclass
from enum import Enum, auto

from gateway.config import GatewayConfig

MINUTE_S = 60.0
HOUR_S = 3600.0


class Step(Enum):
    """What is to be done about a connection now."""

    REFRESH = auto()
    """Ask it to move to a new connection."""
    WARN = auto()
    """Say that it will be closed."""
    EXPIRE = auto()
    """Close it: it is too old."""
    IDLE = auto()
    """Close it: nothing was heard for too long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds since the connection was opened, and seconds of silence."""

    refresh_s: float
    warn_s: float
    expire_s: float
    idle_s: float
    heartbeat_s: float

    @classmethod
    def of(cls, config: GatewayConfig) -> "Limits":
        """The limits of a configuration."""
        return cls(
            refresh_s=config.connection_refresh_minutes * MINUTE_S,
            warn_s=config.connection_warning_minutes * MINUTE_S,
            expire_s=config.session_max_duration_hours * HOUR_S,
            idle_s=float(config.idle_timeout_seconds),
            heartbeat_s=float(config.heartbeat_timeout_seconds),
        )


class Lifetime:
    """One connection's clock. Times in s on a clock that only goes forward.

    Any message counts as a sign of life. A client that has sent a heartbeat once is expected to go on; one
    that never did may be silent for the idle time.
    """

    def __init__(self, limits: Limits, *, now_s: float) -> None:
        self._limits = limits
        self._opened_s = now_s
        self._heard_s = now_s
        self._beats = False
        self._silent = False  # and told so
        self._calm_until_s = now_s  # nothing is due before; thousands are asked every second
        steps = [
            (limits.refresh_s, Step.REFRESH),
            (limits.warn_s, Step.WARN),
            (limits.expire_s, Step.EXPIRE),
        ]
        # the next one last; what would come after the end never comes
        self._ahead = sorted(steps, key=lambda step: step[0], reverse=True)

    def heard(self, now_s: float, *, heartbeat: bool = False) -> None:
        """The client said something."""
        self._heard_s = now_s
        if heartbeat and not self._beats:
            self._beats = True
            self._calm_until_s = now_s

    def silent_s(self, now_s: float) -> float:
        """How long nothing was heard."""
        return now_s - self._heard_s

    def left_s(self, now_s: float) -> float:
        """How long the connection may still last."""
        return max(0.0, self._opened_s + self._limits.expire_s - now_s)

    def due(self, now_s: float) -> Step | None:
        """What is to be done now, each step once; None when nothing is."""
        if now_s < self._calm_until_s:
            return None
        allowed_s = min(self._limits.heartbeat_s, self._limits.idle_s) if self._beats else self._limits.idle_s
        if self.silent_s(now_s) >= allowed_s:
            told, self._silent = self._silent, True
            return None if told else Step.IDLE
        if self._ahead and now_s - self._opened_s >= self._ahead[-1][0]:
            return self._ahead.pop()[1]
        silence_ends_s = self._heard_s + allowed_s
        step_s = self._opened_s + self._ahead[-1][0] if self._ahead else silence_ends_s
        self._calm_until_s = min(silence_ends_s, step_s)
        return None
