"""What a worker process does first, so that it neither outlives its parent nor dies before it."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(death_signal: signal.Signals, *, parent: int) -> None:
    """Ask the kernel (Linux) to send `death_signal` when the parent goes; exit when it has gone already.

    Elsewhere the end of standard input ends the worker.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(0)


def outlast_signals() -> None:
    """Leave Ctrl-C and a group-wide SIGTERM to the parent, which still has segments to finish."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
