"""A process that serves until it is told to stop."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from babelcast import telemetry
from babelcast.config import ConfigError
from babelcast.errors import BabelcastError
from babelcast.logs import configure, strays_logged


class Service(Protocol):
    """Something that runs until `aclose`, which drains it."""

    async def aclose(self) -> None:
        """Drain and stop."""
        ...


async def stop_requested() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def serve_until_stopped(start: Callable[[], Awaitable[Service]]) -> None:
    """Start a service, wait for SIGTERM or SIGINT, drain it."""
    stop = await stop_requested()
    service = await start()
    try:
        await stop.wait()
    finally:
        await service.aclose()


def run(start: Callable[[Mapping[str, str]], Awaitable[Service]], *, name: str) -> int:
    """A service's main: `start` gets the environment; returns the exit code."""
    try:
        configure(service=name, level=os.environ.get("LOG_LEVEL") or "INFO")
        end_telemetry = telemetry.configure(service=name, environ=os.environ)
        try:
            with strays_logged():
                asyncio.run(serve_until_stopped(lambda: start(os.environ)))
        finally:
            end_telemetry()
    except (ConfigError, BabelcastError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0
