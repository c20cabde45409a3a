"""How long to wait before each reconnection."""

from collections.abc import Iterator
from random import Random


def delays(*, base_s: float, cap_s: float, random: Random) -> Iterator[float]:
    """Endless waits in seconds with full jitter: uniform in 0 to min(cap, base · 2ⁿ).

    Full jitter spreads the listeners of a lost gateway evenly instead of bringing them back in waves.
    """
    ceiling = min(base_s, cap_s)
    while True:
        yield random.uniform(0, ceiling)
        ceiling = min(2 * ceiling, cap_s)
