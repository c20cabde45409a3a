"""Traces across gRPC: a call that came with a recorded trace context is a span of its trace."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar, cast

import grpc
from opentelemetry.trace import SpanContext

from babelcast.telemetry import tracing

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Handler: TypeAlias = Callable[[object, object], object]


class TracingInterceptor(grpc.aio.ServerInterceptor):
    """Makes spans of unary calls. What is not traced goes by as if this were not there.

    A stream lasts as long as a talk and is no span: the messages in it belong to traces of their own.
    """

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], "Awaitable[grpc.RpcMethodHandler[_Request, _Response] | None]"
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[_Request, _Response] | None":
        """Wrap the handler of a call that is traced."""
        handler = await continuation(handler_call_details)
        parent = _parent(handler_call_details)
        if handler is None or parent is None or handler.request_streaming or handler.response_streaming:
            return handler
        wrapped: grpc.RpcMethodHandler[_Request, _Response] = grpc.unary_unary_rpc_method_handler(
            _traced(handler_call_details.method, cast("_Handler", handler.unary_unary), parent),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return wrapped


def _parent(call: grpc.HandlerCallDetails) -> SpanContext | None:
    for key, value in call.invocation_metadata or ():
        if key == tracing.TRACEPARENT and isinstance(value, str):
            return tracing.sampled_parent(value)
    return None


def _traced(method: str, inner: _Handler, parent: SpanContext) -> _Handler:
    attributes = {"rpc.system": "grpc", "rpc.method": method.lstrip("/")}

    async def call(request: object, context: object) -> object:
        with tracing.request(method.lstrip("/"), parent=parent, attributes=attributes):
            return await cast("Awaitable[object]", inner(request, context))

    return call
