"""`babelcast serve`: start everything, say that it is ready, drain when told to stop."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from babelcast import scripted
from babelcast.logs import configure, strays_logged
from babelcast.telemetry import export, instruments, sampling
from babelcast.telemetry.process import loop_lag_told
from cli import places
from cli.compose import Babelcast, Place
from cli.engines import scripted_in
from cli.interrupt import on_interrupt
from cli.outcome import OK

SUBJECT = "local-speaker"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The line that programs wait for."""

    event: str = "ready"
    url: str
    token: str


async def serve(place: Place, environ: Mapping[str, str], console: Console, *, as_json: bool) -> int:
    """Serve until SIGTERM or SIGINT, then drain. With `as_json` the console should be quiet.

    Raises: BabelcastError, ConfigError, OSError.
    """
    configure(service="babelcast", level=environ.get("LOG_LEVEL") or ("INFO" if as_json else "ERROR"))
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(strays_logged())
        stack.callback(export.configure(service="babelcast", environ=environ))
        stack.callback(sampling.configure(service="babelcast", environ=environ))
        await stack.enter_async_context(loop_lag_told(instruments.LOOP_LAG.record))
        stop = stack.enter_context(on_interrupt())
        app = await _started(place, environ, console, stop)
        if app is None:
            return OK
        try:
            token = "" if app.issuer is None else app.issuer.mint(SUBJECT)
            if as_json:
                sys.stdout.write(msgspec.json.encode(Ready(url=app.url, token=token)).decode() + "\n")
                sys.stdout.flush()
            _welcome(app, place, token, console, scripted_in(environ))
            await stop.wait()
            console.print("Letting the last sentences through …")
        finally:
            await app.aclose()
        console.print("Stopped.")
    return OK


async def _started(
    place: Place, environ: Mapping[str, str], console: Console, stop: asyncio.Event
) -> Babelcast | None:
    """Everything running; None when told to stop meanwhile."""
    began_s = time.monotonic()
    with console.status("Starting …"):
        starting = asyncio.create_task(
            Babelcast.start(
                place, environ, tell=lambda line: console.print(f"[green]✓[/] {line}", highlight=False)
            ),
            name="start",
        )
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not starting.done():
                starting.cancel()
                await asyncio.wait({starting})
    if starting.cancelled():
        return None
    app = starting.result()
    console.print(f"Ready after {time.monotonic() - began_s:.1f} s.\n", highlight=False)
    return app


def _welcome(app: Babelcast, place: Place, token: str, console: Console, tests: Sequence[str]) -> None:
    """The address, the token, and what to try; `tests` are the settings that ask for scripted engines."""
    if tests:
        console.print(f"[bold yellow]{scripted.NOTICE}[/]\n", highlight=False)
    heard = sorted({target for targets in app.languages.targets.values() for target in targets})
    pages = places.pages_at(app.url)
    console.print(f"  speak     [bold]{pages}/speak[/]", highlight=False)
    console.print(f"  listen    [bold]{pages}[/]", highlight=False)
    console.print(f"  programs  {app.url}", highlight=False)
    console.print(f"  spoken    {' '.join(app.languages.source)}", highlight=False)
    console.print(f"  heard     {' '.join(heard)}", highlight=False)
    if token:
        console.print(f"  token     {token}", highlight=False, soft_wrap=True)
    else:
        console.print("  token     from your issuer: --token TOKEN")
    console.print("\nOr without a browser, in two more terminals, and once to see that all is well:\n")
    for command in commands(app.url, place.data_dir, program=places.program(), tests=bool(tests)):
        console.print(f"  {command}", highlight=False, markup=False, soft_wrap=True)
    console.print("\nCtrl-C stops.")


def commands(url: str, data_dir: Path, *, program: str, tests: bool = False) -> list[str]:
    """What to try: speak, listen, smoke; with the options that are not the defaults. With `tests` the speech
    is a scripted one.
    """
    at = () if url == places.DEFAULT_URL else ("--url", url)
    usual = data_dir == places.default_data_dir(os.environ)
    kept = () if usual else ("--data-dir", str(data_dir))
    speech = "--scripted" if tests else _near(places.SPEECH)
    return [
        places.shell(program, "speak", speech, "--from", "en", *at, *kept),
        places.shell(program, "listen", "CODE", "--to", "es", *at),
        *([] if tests else [places.shell(program, "smoke", url, *kept)]),
    ]


def _near(path: Path) -> str:
    """The path as seen from here, when that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
