"""Traces across real gRPC on loopback."""

import contextlib
from collections.abc import AsyncIterator

from opentelemetry.trace import StatusCode

from babelcast.errors import BabelcastError, RemoteError, SessionNotFound
from babelcast.rpc.client import domain_errors, open_channel
from babelcast.rpc.server import GrpcServer
from babelcast.telemetry import tracing
from babelcast.translation.v1 import translation_pb2 as api
from babelcast.translation.v1 import translation_pb2_grpc as rpc
from tests.traced import Recorded, parent_of, recording

METHOD = "babelcast.translation.v1.TranslationService/ListLanguages"
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Servicer(rpc.TranslationServiceServicer):
    """Notes the trace that it is called in, and may fail."""

    def __init__(self, error: BabelcastError | None = None) -> None:
        self.here: list[str] = []
        self._error = error

    async def ListLanguages(  # noqa: N802 - gRPC's name
        self, request: api.ListLanguagesRequest, context: object
    ) -> api.ListLanguagesResponse:
        self.here.append(tracing.here())
        if self._error is not None:
            raise self._error
        return api.ListLanguagesResponse()

    def StreamingTranslate(  # noqa: N802 - gRPC's name
        self, request_iterator: object, context: object
    ) -> AsyncIterator[api.StreamingTranslateResponse]:
        raise NotImplementedError


async def called(servicer: Servicer, *, caller: str) -> Recorded:
    """Call once in a trace, or in none."""
    server = GrpcServer("127.0.0.1:0", services=[])
    rpc.add_TranslationServiceServicer_to_server(servicer, server.server)
    with recording() as recorded:
        async with server, open_channel(f"127.0.0.1:{server.port}") as channel:
            stub = rpc.TranslationServiceStub(channel)
            with tracing.under(caller), contextlib.suppress(RemoteError), domain_errors():
                await stub.ListLanguages(api.ListLanguagesRequest(), timeout=10, metadata=tracing.metadata())
        return recorded


async def test_a_call_is_a_span_below_its_caller() -> None:
    """And what its handler does is below it."""
    servicer = Servicer()
    recorded = await called(servicer, caller=CALLER)
    span = recorded.only(METHOD)
    assert parent_of(span) == int("00f067aa0ba902b7", 16)
    assert span.context is not None
    assert servicer.here == [tracing.written(span.context)]


async def test_a_call_in_no_trace_makes_none() -> None:
    """Nor is its handler in one."""
    servicer = Servicer()
    recorded = await called(servicer, caller="")
    assert recorded.spans == []
    assert servicer.here == [""]


async def test_a_call_that_fails_is_marked() -> None:
    """By its error's code."""
    recorded = await called(Servicer(SessionNotFound("golden-eagle-427")), caller=CALLER)
    status = recorded.only(METHOD).status
    assert (status.status_code, status.description) == (StatusCode.ERROR, "SESSION_NOT_FOUND")
