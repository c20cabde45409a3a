"""The wall clock, for composition roots: everything else is handed a clock."""

import time


def wall_clock_ms() -> int:
    """Now, in ms since the Unix epoch."""
    return time.time_ns() // 1_000_000
