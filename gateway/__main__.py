"""`python -m gateway`: a gateway alone, or several processes of it, in front of services elsewhere."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from babelcast import process
from babelcast.auth.config import AuthConfig, trust
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.config import load
from gateway.composition import GatewayOnBus, start_gateway, start_here
from gateway.config import GatewayConfig
from gateway.server import Issuers
from gateway.workers import BEAT_S, READY, Workers


async def start(environ: Mapping[str, str]) -> GatewayOnBus | Workers:
    """A gateway in this process, or as many in others as GATEWAY_WORKERS says."""
    return await start_gateway(environ, issuers=_issuers(environ))


async def start_worker(environ: Mapping[str, str]) -> GatewayOnBus:
    """A gateway that shares its port with others, whose parent it tells that it is ready, again and again."""
    await _end_with_parent()
    running = await start_here(environ, issuers=_issuers(environ), on_port=True)
    _beat(asyncio.get_running_loop())
    return running


def _beat(loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.suppress(BrokenPipeError):  # the parent is gone, which `_Lifeline` sees to
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
    loop.call_later(BEAT_S, _beat, loop)


def _issuers(environ: Mapping[str, str]) -> Issuers:
    """Without a configured issuer, the local one of DATA_DIR."""
    configured = trust(load(AuthConfig, environ))
    if configured:
        return Issuers(configured=configured)
    return Issuers(local=LocalIssuer.open(Path(load(GatewayConfig, environ).data_dir)))


class _Lifeline(asyncio.Protocol):
    """The parent's end of standard input; when it goes, so do we, in order."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended
        os.kill(os.getpid(), signal.SIGTERM)


async def _end_with_parent() -> None:
    await asyncio.get_running_loop().connect_read_pipe(_Lifeline, sys.stdin)


def main(arguments: Sequence[str]) -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="gateway processes that share the port, in place of GATEWAY_WORKERS",
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.workers is not None:
        os.environ["GATEWAY_WORKERS"] = str(options.workers)
    serve: Callable[[Mapping[str, str]], Awaitable[process.Service]] = (
        start_worker if options.worker else start
    )
    return process.run(serve, name="gateway")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
