"""A server of our own for as long as a measurement takes: `babelcast serve --json` as a separate process."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from babelcast.errors import ServiceUnavailable

READY_S = 90.0
STOP_S = 40.0


class Ready(msgspec.Struct):
    """The one line of `babelcast serve --json`."""

    event: str
    url: str
    token: str


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A running server."""

    url: str
    token: str
    process: Process


@asynccontextmanager
async def own_server(
    data_dir: Path, *, port: int = 0, environ: Mapping[str, str] | None = None, stderr: Path | None = None
) -> AsyncIterator[OwnServer]:
    """Start, wait until it is ready, and stop it at the end. Its log goes to `stderr`, or nowhere.

    Raises: ServiceUnavailable when it does not become ready.
    """
    log = (stderr or Path(os.devnull)).open("ab")
    with log:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "cli",
                "serve",
                "--json",
                "--port",
                str(port),
                "--data-dir",
                str(data_dir),
            ),
            stdout=PIPE,
            stderr=log,
            env={**os.environ, **(environ or {})},
        )
    try:
        ready = await _ready(process)
        yield OwnServer(ready.url, ready.token, process)
    finally:
        await _stop(process)


async def _ready(process: Process) -> Ready:
    if process.stdout is None:
        raise ServiceUnavailable("The server has no output.")
    try:
        async with asyncio.timeout(READY_S):
            line = await process.stdout.readline()
    except TimeoutError as error:
        raise ServiceUnavailable("The server did not become ready.") from error
    try:
        return msgspec.json.decode(line, type=Ready)
    except msgspec.MsgspecError as error:
        raise ServiceUnavailable("The server ended before it was ready.") from error


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
