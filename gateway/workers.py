"""Several gateway processes on one port, and the parent that keeps them.

Each listens for itself (SO_REUSEPORT): Linux gives a new connection to one of them by a hash of both
addresses and ports, evenly and without regard to load, and never moves it. They share sessions through the
bus, like gateways on several machines. The parent serves nobody: it starts them, starts again what ends
or hangs, passes SIGTERM on, and waits.
"""

import asyncio
import contextlib
import logging
import random
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from babelcast.backoff import Backoff
from babelcast.bus.config import BusConfig
from babelcast.config import ConfigError, load
from babelcast.errors import ServiceUnavailable
from babelcast.telemetry.config import TelemetryConfig
from babelcast.telemetry.scrape import next_bind
from gateway.config import GatewayConfig

READY: Final = "ready"
"""What a worker says on stdout, in a line of its own, once it serves, and from then on every BEAT_S."""
BEAT_S: Final = 2.0
HUNG_S: Final = 30.0
"""A worker that has said nothing for so long is killed: its event loop stands still."""
START_S: Final = 60.0
STOP_S: Final = 40.0
"""How much longer than DRAIN_SECONDS a worker may take to end before it is killed."""
STEADY_S: Final = 60.0
"""A worker that has lived so long was no failure to start."""
BACKOFF: Final = Backoff(retries=sys.maxsize, base_s=0.5, cap_s=30.0)
_INSTANCE: Final = "service.instance.id"
_LONGEST_RUN: Final = 10
"""Failures in a row above which the backoff is at its cap."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Place:
    """One worker's place, and the process in it."""

    number: int
    ready: "asyncio.Future[None]"
    process: Process | None = None
    code: int = 0
    """What its last process ended with, if it was told to end; 0 while it was not."""


class Workers:
    """Running gateway processes. Made by `start`; ended by `aclose`, which drains them."""

    def __init__(self, config: GatewayConfig, environ: Mapping[str, str], address: socket.socket) -> None:
        self.port = int(address.getsockname()[1])
        self._address = address
        self._drain_s = config.drain_seconds
        self._environ = environ
        loop = asyncio.get_running_loop()
        self._places = [_Place(number + 1, loop.create_future()) for number in range(config.gateway_workers)]
        self._stopping = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []

    @classmethod
    async def start(cls, environ: Mapping[str, str]) -> Self:
        """Start as many as GATEWAY_WORKERS says; returns when all of them serve.

        Raises: ConfigError without BUS_URL; ServiceUnavailable when the address is taken or one of them does
        not start, whose own stderr says why.
        """
        config = load(GatewayConfig, environ)
        if not load(BusConfig, environ).servers:
            raise ConfigError("GATEWAY_WORKERS: more than one gateway process need a bus; set BUS_URL")
        workers = cls(config, environ, _reserve(config.host, config.port))
        try:
            await workers._start()
        except BaseException:
            await workers._kill()
            workers._address.close()
            raise
        log.info("gateway processes serve", extra={"port": workers.port, "workers": len(workers._places)})
        return workers

    @property
    def pids(self) -> list[int]:
        """The processes, in the order of their places; of places that are empty now there is none."""
        return [place.process.pid for place in self._places if place.process is not None]

    def hurry(self) -> None:
        """Have drains cut short."""
        self._tell(signal.SIGTERM)

    async def aclose(self) -> None:
        """Drain all and wait for them; idempotent.

        Raises: ServiceUnavailable when one did not end in order.
        """
        self._stopping.set()
        self._tell(signal.SIGTERM)
        if self._keepers:
            _, late = await asyncio.wait(self._keepers, timeout=self._drain_s + STOP_S)
            if late:
                log.critical("gateway processes do not end", extra={"workers": len(late)})
                await self._kill()
        self._address.close()
        if bad := {place.number: place.code for place in self._places if place.code}:
            raise ServiceUnavailable(f"Gateway processes did not end in order (exit codes: {bad}).")

    async def _start(self) -> None:
        self._keepers = [
            asyncio.create_task(self._keep(place), name=f"worker-{place.number}") for place in self._places
        ]
        places = [place.ready for place in self._places]
        await asyncio.wait(places, timeout=START_S, return_when=asyncio.FIRST_EXCEPTION)
        for ready in places:
            if ready.done():
                ready.result()
        if not all(ready.done() for ready in places):
            raise ServiceUnavailable("The gateway processes do not start.")

    async def _keep(self, place: _Place) -> None:
        """Have a process in a place until told to stop."""
        failures = 0
        while not self._stopping.is_set():
            began_s = time.monotonic()
            code = await self._run(place)
            if self._stopping.is_set():
                place.code = code
                return
            if not place.ready.done():
                place.ready.set_exception(ServiceUnavailable("A gateway process does not start."))
                place.ready.exception()  # of two that fail only one is raised
                return
            steady = code == 0 or time.monotonic() - began_s > STEADY_S
            failures = 0 if steady else min(failures + 1, _LONGEST_RUN)
            log.error("gateway process ended", extra={"worker": place.number, "code": code})
            if failures:
                await self._pause(BACKOFF.delay_s(failures - 1, random.random))

    async def _run(self, place: _Place) -> int:
        """One process from its start to its end; returns its exit code, 1 when it cannot be started."""
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "--worker"),
                env={**self._environ, **self._settings(place)},
                stdin=PIPE,  # its end tells the worker that we are gone
                stdout=PIPE,
                start_new_session=True,  # Ctrl-C is for us to pass on
            )
        except OSError:  # no memory, or too many processes: perhaps just now
            log.exception("gateway process not started", extra={"worker": place.number})
            return 1
        place.process = process
        try:
            if self._stopping.is_set():
                process.terminate()
            if process.stdout is not None:
                await _listen(process, process.stdout, place)
            code = await process.wait()
            # told to end before it had learnt to do so in order
            return 0 if self._stopping.is_set() and code == -signal.SIGTERM else code
        finally:
            place.process = None

    def _settings(self, place: _Place) -> dict[str, str]:
        known = self._environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        instance = f"{_INSTANCE}={_instance(known)}-worker-{place.number}"
        metrics_bind = load(TelemetryConfig, self._environ).metrics_bind
        return {
            "METRICS_BIND": next_bind(metrics_bind, place.number) if metrics_bind else "",
            "PORT": str(self.port),
            "GATEWAY_WORKERS": "1",
            "OTEL_RESOURCE_ATTRIBUTES": f"{known},{instance}" if known else instance,
        }

    def _tell(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    place.process.send_signal(number)

    async def _kill(self) -> None:
        self._stopping.set()
        self._tell(signal.SIGKILL)
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=STOP_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _instance(attributes: str) -> str:
    """What we are called among others of our kind: as OTEL_RESOURCE_ATTRIBUTES says, or by the host."""
    given = dict(pair.partition("=")[::2] for pair in attributes.replace(" ", "").split(","))
    return given.get(_INSTANCE) or socket.gethostname()


async def _listen(process: Process, beats: asyncio.StreamReader, place: _Place) -> None:
    """Until a worker says nothing any more: it has ended, or is killed since it hangs."""
    said = await beats.readline()
    while said:
        if said.decode().strip() == READY and not place.ready.done():
            place.ready.set_result(None)
        try:
            async with asyncio.timeout(HUNG_S):
                said = await beats.readline()
        except TimeoutError:
            log.critical("gateway process hangs", extra={"worker": place.number})
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            return


def _reserve(host: str, port: int) -> socket.socket:
    """A socket that holds the address for the workers, and takes no connection itself.

    Raises: ServiceUnavailable when another program has it: one that shares it too would get half of ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        socket.create_server((host, port), family=family).close()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as create_server does
        held.bind((host, port))
    except OSError as error:
        held.close()
        raise ServiceUnavailable(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error
    return held
