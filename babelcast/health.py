"""`python -m babelcast.health ADDRESS...`: whether servers are well, for a container's health check.

An address is `http://HOST:PORT/PATH` or the same with https, well when it answers with less than 400;
`grpc://HOST:PORT`, well when grpc.health.v1 says SERVING, asked with what GRPC_TLS_CA and so on name; or
`tcp://HOST:PORT`, well when it takes connections. With `--wait SECONDS` they are asked until all are well.
Exit code 0 when all are, else 1 and a line for each that is not.
"""

import argparse
import asyncio
import http.client
import os
import ssl
import sys
import time
import urllib.parse
from collections.abc import Sequence
from typing import Final

from babelcast.config import ConfigError

ASK_S: Final = 4.0
"""How long an answer may take; less than what a container's health check may."""
PAUSE_S: Final = 0.5
_REFUSED: Final = 400


class Unwell(Exception):
    """A server that does not answer as it should; the message says how."""


async def check(address: str, *, timeout_s: float = ASK_S) -> None:
    """Ask one server. Raises: Unwell; ConfigError; ValueError when the address is none."""
    parsed = urllib.parse.urlsplit(address)
    if not parsed.hostname or parsed.port is None:
        raise ValueError(
            f"{address}: an address is written http://HOST:PORT/PATH, grpc:// or tcp://HOST:PORT"
        )
    try:
        async with asyncio.timeout(timeout_s):
            match parsed.scheme:
                case "http" | "https":
                    await asyncio.to_thread(_answers, parsed, timeout_s)
                case "grpc":
                    await _serves(parsed.netloc)
                case "tcp":
                    _, writer = await asyncio.open_connection(parsed.hostname, parsed.port)
                    writer.close()
                case _:
                    raise ValueError(f"{address}: http, https, grpc and tcp can be asked")
    except (OSError, TimeoutError, http.client.HTTPException) as error:
        raise Unwell(f"{address}: {str(error) or 'no answer in time'}") from error


async def check_all(addresses: Sequence[str], *, wait_s: float = 0.0) -> list[str]:
    """Ask all until they are well or `wait_s` is over; what is wrong with the others, one line each."""
    until_s = time.monotonic() + wait_s
    while True:
        outcomes = await asyncio.gather(*map(check, addresses), return_exceptions=True)
        wrong = [outcome for outcome in outcomes if outcome is not None]
        for outcome in wrong:
            if not isinstance(outcome, Unwell):
                raise outcome
        if not wrong or time.monotonic() >= until_s:
            return [str(outcome) for outcome in wrong]
        await asyncio.sleep(PAUSE_S)


def _answers(address: urllib.parse.SplitResult, timeout_s: float) -> None:
    """Raises: Unwell, OSError, HTTPException."""
    host, port = str(address.hostname), address.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=timeout_s, context=_unproven())
        if address.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=timeout_s)
    )
    try:
        connection.request("GET", f"{address.path or '/'}{f'?{address.query}' if address.query else ''}")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status >= _REFUSED:
        raise Unwell(f"{address.geturl()}: {status}")


def _unproven() -> ssl.SSLContext:
    """Whoever asks knows the server by its address, mostly its own; no certificate is for that."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _serves(target: str) -> None:
    """Raises: Unwell, ConfigError."""
    # Here alone: they cost more than all the rest, and a gateway is asked often and without them.
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from babelcast.rpc.client import open_channel
    from babelcast.rpc.credentials import Calling

    try:
        async with open_channel(target, calling=Calling.of(os.environ)) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=ASK_S, wait_for_ready=False
            )
    except grpc.aio.AioRpcError as error:
        raise Unwell(f"grpc://{target}: {error.code().name}") from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        raise Unwell(f"grpc://{target}: {status}")


def main(arguments: Sequence[str]) -> int:
    """Ask; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m babelcast.health", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="ask until all are well")
    options = parser.parse_args(arguments)
    try:
        wrong = asyncio.run(check_all(options.addresses, wait_s=options.wait))
    except (ConfigError, ValueError) as error:
        parser.error(str(error))
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
