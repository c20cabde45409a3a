"""How long a server's calls take, and how they end."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import grpc

from babelcast.telemetry.instruments import CODE, METHOD, SERVED

_OURS: Final = "babelcast."
_BY_NUMBER: Final = {status.value[0]: status.name for status in grpc.StatusCode}


class Answered(Protocol):
    """What is asked of a call's context."""

    def code(self) -> grpc.StatusCode | int | None:
        """The status that the call was ended with; 0 or None when it was not, which is well."""
        ...


def named(path: str) -> str:
    """Service/Method of a call's path "/package.Service/Method"; empty for those that are not ours: health is
    asked for all the time, and says nothing of the work.
    """
    service, _, method = path.removeprefix("/").partition("/")
    return f"{service.rpartition('.')[2]}/{method}" if service.startswith(_OURS) else ""


def status_of(code: grpc.StatusCode | int | None) -> str:
    """The name of a status, as grpc.aio tells it."""
    if isinstance(code, grpc.StatusCode):
        return code.name
    return _BY_NUMBER.get(code or 0, grpc.StatusCode.UNKNOWN.name)


@contextlib.contextmanager
def served(path: str, context: Answered, clock: Callable[[], float] = time.perf_counter) -> Iterator[None]:
    """Time the answering of a call inside. One that the other side gave up is CANCELLED."""
    method = named(path)
    if not method:
        yield
        return
    began_s, given_up = clock(), False
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        given_up = True
        raise
    finally:
        status = grpc.StatusCode.CANCELLED.name if given_up else status_of(context.code())
        SERVED.record(clock() - began_s, {METHOD: method, CODE: status})
