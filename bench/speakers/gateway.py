"""`python -m bench.speakers.gateway FILE`: a gateway with a probe. SIGUSR1 begins a measurement; the next one
ends it and writes what was found to FILE.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from babelcast import process
from bench.speakers.probe import Probe
from gateway.__main__ import start as start_gateway

TICK_S = 0.01


def main(file: Path) -> int:
    """Serve until told to stop."""
    if cores := os.environ.get("BENCH_CORES"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    probe = Probe()
    probe.install()

    async def start(environ: Mapping[str, str]) -> process.Service:
        gateway = await start_gateway(environ)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, _turn, probe, file)
        return gateway

    return process.run(start, name="gateway")


def _turn(probe: Probe, file: Path) -> None:
    if probe.running:
        part = file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(probe.end()))
        part.rename(file)
    else:
        probe.begin()
        _tick(probe, time.monotonic())


def _tick(probe: Probe, due_s: float) -> None:
    """Note how late the loop is, from timer to timer."""
    now_s = time.monotonic()
    probe.lags_s.append(now_s - due_s)
    if probe.running:
        asyncio.get_running_loop().call_at(
            asyncio.get_running_loop().time() + TICK_S, _tick, probe, now_s + TICK_S
        )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
