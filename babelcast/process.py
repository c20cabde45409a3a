"""A process that serves until it is told to stop."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from babelcast.config import ConfigError
from babelcast.errors import BabelcastError
from babelcast.logs import configure, strays_logged
from babelcast.telemetry import export, instruments, sampling
from babelcast.telemetry.process import loop_lag_told


class Service(Protocol):
    """Something that runs until `aclose`, which drains it."""

    async def aclose(self) -> None:
        """Drain and stop."""
        ...


@runtime_checkable
class Patient(Protocol):
    """A service whose drain may wait for others, and need not."""

    def hurry(self) -> None:
        """Wait for nobody any more."""
        ...


@dataclass(frozen=True, slots=True)
class Signals:
    """SIGTERM and SIGINT as something to wait for."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """One came."""
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """Another one came after it."""

    def came(self) -> None:
        """Note one."""
        (self.hurry if self.stop.is_set() else self.stop).set()

    @classmethod
    def listen(cls) -> "Signals":
        """Take the place of what they do otherwise."""
        signals = cls()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, signals.came)
        return signals


async def serve_until_stopped(start: Callable[[], Awaitable[Service]]) -> None:
    """Start a service, wait for SIGTERM or SIGINT, drain it; a second signal hurries a Patient one."""
    signals = Signals.listen()
    async with loop_lag_told(instruments.LOOP_LAG.record):
        service = await start()
        try:
            await signals.stop.wait()
        finally:
            hurrying = asyncio.create_task(_hurry(service, signals.hurry), name="hurry")
            try:
                await service.aclose()
            finally:
                hurrying.cancel()


async def _hurry(service: Service, asked: asyncio.Event) -> None:
    await asked.wait()
    if isinstance(service, Patient):
        service.hurry()


def run(start: Callable[[Mapping[str, str]], Awaitable[Service]], *, name: str) -> int:
    """A service's main: `start` gets the environment; returns the exit code."""
    try:
        configure(service=name, level=os.environ.get("LOG_LEVEL") or "INFO")
        with contextlib.ExitStack() as stack:
            stack.callback(sampling.configure(service=name, environ=os.environ))
            stack.callback(export.configure(service=name, environ=os.environ))
            stack.enter_context(strays_logged())
            asyncio.run(serve_until_stopped(lambda: start(os.environ)))
    except (ConfigError, BabelcastError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0
