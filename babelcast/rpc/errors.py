"""Domain errors across gRPC: a status and one google.rpc.ErrorInfo, whose reason is the protocol's code."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeAlias, TypeVar, cast

import grpc
import msgspec
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from babelcast.errors import BabelcastError, Detail, ErrorCode, InternalError, RemoteError, ServiceUnavailable
from babelcast.rpc.served import Answered, served

DOMAIN = "babelcast"
_STATUS_DETAILS = "grpc-status-details-bin"
_UNREACHABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
_CLOSED_TO_US = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
"""Without a domain error: a service takes us for nobody who may call, which is for operators to mend."""
_BROKEN = "Internal error from Core"
"""What grpc.aio says, as INTERNAL, when a stream breaks while something is written to it."""

log = logging.getLogger(__name__)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Context: TypeAlias = grpc.aio.ServicerContext[_Request, _Response]
_Handler: TypeAlias = Callable[[object, _Context[object, object]], object]


def status_details(error: BabelcastError) -> bytes:
    """The serialised google.rpc.Status that carries `error`."""
    info = error_details_pb2.ErrorInfo(
        reason=error.code.value,
        domain=DOMAIN,
        metadata={key: msgspec.json.encode(value).decode() for key, value in error.details.items()},
    )
    packed = any_pb2.Any()
    packed.Pack(info)
    status = status_pb2.Status(code=error.status.value[0], message=error.message, details=[packed])
    serialised: bytes = status.SerializeToString()
    return serialised


def error_from_call(error: grpc.aio.AioRpcError) -> BabelcastError:
    """The domain error behind a failed call; ServiceUnavailable or InternalError where it carries none."""
    for key, value in error.trailing_metadata() or ():
        if key == _STATUS_DETAILS:
            status = status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode())
            for packed in status.details:
                info = error_details_pb2.ErrorInfo()
                if packed.Unpack(info) and info.domain == DOMAIN:
                    return _remote_error(info, status.message)
    if error.code() in _CLOSED_TO_US:
        log.error("a service does not take our calls", extra={"status": error.code().name})
    if error.code() in _UNREACHABLE | _CLOSED_TO_US or error.details() == _BROKEN:
        return ServiceUnavailable("A part of the service cannot be reached right now.")
    return InternalError()


def _remote_error(info: error_details_pb2.ErrorInfo, message: str) -> BabelcastError:
    """The error that `info` describes; one that only a newer program knows is a fault of ours."""
    if info.reason not in ErrorCode.__members__:
        log.warning("unknown reason in an error", extra={"reason": info.reason})
        return InternalError()
    details: dict[str, Detail] = {name: msgspec.json.decode(text) for name, text in info.metadata.items()}
    return RemoteError(ErrorCode(info.reason), message, details)


@contextlib.contextmanager
def domain_errors() -> Iterator[None]:
    """Raise calls' failures as the domain errors they carry.

    Raises: BabelcastError in the place of grpc.aio.AioRpcError.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise error_from_call(error) from error


def _first_domain_error(error: BaseException) -> BabelcastError | None:
    if isinstance(error, BabelcastError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_first_domain_error, error.exceptions)), None)
    return None


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns what handlers raise into statuses; nothing else in a service does.

    A CancelledError that no one asked for would leave the caller waiting for its deadline, and any other
    exception would leak its text, so both become INTERNAL.
    """

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], "Awaitable[grpc.RpcMethodHandler[_Request, _Response] | None]"
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[_Request, _Response] | None":
        """Wrap the handler found for a call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        method = handler_call_details.method
        kinds = {
            (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler, self._unary),
            (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler, self._streaming),
            (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler, self._unary),
            (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler, self._streaming),
        }
        attribute, make, wrap = kinds[bool(handler.request_streaming), bool(handler.response_streaming)]
        wrapped: grpc.RpcMethodHandler[_Request, _Response] = make(
            wrap(method, getattr(handler, attribute)),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return wrapped

    def _unary(self, method: str, inner: _Handler) -> _Handler:
        async def call(request: object, context: _Context[object, object]) -> object:
            with served(method, cast("Answered", context)):
                try:
                    return await cast("Awaitable[object]", inner(request, context))
                except BaseException as error:
                    await _end(method, context, error)
                    raise

        return call

    def _streaming(self, method: str, inner: _Handler) -> _Handler:
        async def call(request: object, context: _Context[object, object]) -> AsyncIterator[object]:
            with served(method, cast("Answered", context)):
                try:
                    responses = inner(request, context)
                    if isinstance(responses, AsyncIterator):
                        async for response in responses:
                            yield response
                    else:  # a handler that writes through the context, as health's Watch does
                        await cast("Awaitable[object]", responses)
                except BaseException as error:
                    await _end(method, context, error)
                    raise

        return call


async def _end(method: str, context: _Context[object, object], error: BaseException) -> None:
    """End a call for what its handler raised; returns when that is to go on as it is."""
    if isinstance(error, grpc.aio.AbortError | GeneratorExit):
        return
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            return
        log.exception("handler cancelled itself", extra={"method": method})
        await _abort(context, InternalError())
    known = _first_domain_error(error)
    if known is None:
        if not isinstance(error, Exception):
            return
        log.exception("handler failed", extra={"method": method})
        known = InternalError()
    await _abort(context, known)


async def _abort(context: _Context[object, object], error: BabelcastError) -> None:
    await context.abort(
        error.status, error.message, trailing_metadata=((_STATUS_DETAILS, status_details(error)),)
    )
