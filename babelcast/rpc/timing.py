"""How long calls of other services take, and how they end."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

import grpc

from babelcast.rpc.errors import domain_errors
from babelcast.telemetry.instruments import CALLED, CODE, METHOD


@contextlib.contextmanager
def called(method: str) -> Iterator[None]:
    """Time the call of "Service/Method" inside, and raise its failure as the domain error it carries.

    Raises: BabelcastError in the place of grpc.aio.AioRpcError.
    """
    with domain_errors(), timed(method):
        yield


@contextlib.contextmanager
def timed(method: str, clock: Callable[[], float] = time.perf_counter) -> Iterator[None]:
    """Time the call inside."""
    began_s, status = clock(), grpc.StatusCode.OK
    try:
        yield
    except grpc.aio.AioRpcError as error:
        status = error.code()
        raise
    except (asyncio.CancelledError, GeneratorExit):
        status = grpc.StatusCode.CANCELLED
        raise
    finally:
        CALLED.record(clock() - began_s, {METHOD: method, CODE: status.name})


class Conversation:
    """Times a stream from now on until it is first said to be `over`."""

    def __init__(self, method: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._method = method
        self._clock = clock
        self._began_s: float | None = clock()

    def over(self, status: grpc.StatusCode) -> None:
        """It has ended; idempotent."""
        if self._began_s is not None:
            took_s, self._began_s = self._clock() - self._began_s, None
            CALLED.record(took_s, {METHOD: self._method, CODE: status.name})

    @contextlib.contextmanager
    def domain_errors(self) -> Iterator[None]:
        """As the function, and a call that fails is over."""
        with domain_errors():
            try:
                yield
            except grpc.aio.AioRpcError as error:
                self.over(error.code())
                raise
