"""How a command ends: its exit code, and at most one clear line about what went wrong."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import NoReturn

import typer

from babelcast.config import ConfigError
from babelcast.errors import BabelcastError, RemoteError

OK, FAILED, INTERRUPTED = 0, 1, 130
NAMED = (BabelcastError, ConfigError, OSError)


def run(work: Coroutine[object, object, int]) -> None:
    """Run a command's work and leave with its exit code.

    Named errors become one line with their code; anything else is a fault of ours and keeps its traceback.
    """
    try:
        code = asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except NAMED as error:
        fail(describe(error))
    except BaseExceptionGroup as group:
        if group.split(NAMED)[1] is not None:
            raise
        fail(describe(first(group)))
    else:
        raise typer.Exit(code)


def fail(line: str) -> NoReturn:
    """Say what went wrong, and leave.

    Raises: typer.Exit.
    """
    sys.stderr.write(f"babelcast: {line}\n")
    raise typer.Exit(FAILED)


def describe(error: BaseException) -> str:
    """One line: the code where there is one, what happened, and what a server said of when to try again or
    of what there is instead.
    """
    if isinstance(error, BabelcastError):
        hint = _hint(error) if isinstance(error, RemoteError) else ""
        return _one_line(f"{error.code}: {error.message}{hint}")
    if isinstance(error, OSError) and error.strerror:
        return _one_line(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return _one_line(str(error))


def first(group: BaseException) -> BaseException:
    """The first exception in a group that is not one."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _hint(error: RemoteError) -> str:
    wait, available = error.details.get("retryAfter"), error.details.get("available")
    if isinstance(wait, int | float):
        return f" Try again in {wait} s."
    return f" There is: {', '.join(map(str, available))}." if isinstance(available, list | tuple) else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
