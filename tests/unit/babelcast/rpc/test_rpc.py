"""Errors, health and draining across real gRPC on loopback."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from babelcast import errors
from babelcast.errors import BabelcastError, ErrorCode, InternalError, RemoteError, ServiceUnavailable
from babelcast.rpc.client import domain_errors, open_channel
from babelcast.rpc.server import GrpcServer
from babelcast.translation.v1 import translation_pb2 as api
from babelcast.translation.v1 import translation_pb2_grpc as rpc

SERVICE = api.DESCRIPTOR.services_by_name["TranslationService"].full_name
SECRET = "the password is swordfish"
ANSWER = api.ListLanguagesResponse(targets={"en": api.TargetLanguages(languages=["es"])})
PATIENCE_S = 10.0

# One of each error that domain code raises.
ALL_ERRORS: list[BabelcastError] = [
    errors.InvalidMessage("No."),
    errors.MissingAction(),
    errors.InvalidAction("sing"),
    errors.MissingParameter("text"),
    errors.InvalidParameter("volume", "0 to 1."),
    errors.InvalidSessionId(),
    errors.InvalidLanguage("targetLanguage"),
    errors.InvalidAudioFormat("Stereo.", channels=2),
    errors.InvalidConfiguration("Both."),
    errors.UnsupportedLanguage("de", available=["es", "fr"], source="en"),
    errors.AudioChunkTooLarge(size=9, limit=8),
    errors.MessageTooLarge(size=9, limit=8),
    errors.Unauthorized("No token."),
    errors.TokenExpired(),
    errors.UnauthorizedAction("endSession", "listener"),
    errors.Forbidden("Not yours."),
    errors.SessionNotFound("golden-eagle-427"),
    errors.SessionEnded("golden-eagle-427"),
    errors.Conflict("Already."),
    errors.RateLimitExceeded("joins", retry_after_s=1.25),
    errors.MaxSessionsExceeded(limit=50, retry_after_s=60),
    errors.SessionFull(limit=500),
    errors.ServiceUnavailable("Draining."),
    errors.CapacityExhausted("Full.", retry_after_s=3),
    errors.InternalError(),
]


class Servicer(rpc.TranslationServiceServicer):
    """Does what the test says."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    async def ListLanguages(  # noqa: N802 - the contract's name
        self,
        request: api.ListLanguagesRequest,
        context: "grpc.aio.ServicerContext[api.ListLanguagesRequest, api.ListLanguagesResponse]",
    ) -> api.ListLanguagesResponse:
        """Act, then answer."""
        acted = self._act()
        if inspect.isawaitable(acted):
            await acted
        return ANSWER

    async def StreamingTranslate(  # noqa: N802 - the contract's name
        self,
        request_iterator: AsyncIterator[api.StreamingTranslateRequest],
        context: "grpc.aio.ServicerContext[api.StreamingTranslateRequest, api.StreamingTranslateResponse]",
    ) -> AsyncIterator[api.StreamingTranslateResponse]:
        """Answer once, then act."""
        yield api.StreamingTranslateResponse(started=api.StreamStarted())
        acted = self._act()
        if inspect.isawaitable(acted):
            await acted


@asynccontextmanager
async def served(
    act: Callable[[], object], *, reflection_enabled: bool = False
) -> AsyncIterator[tuple[GrpcServer, grpc.aio.Channel]]:
    """A server that acts so, and a channel to it."""
    server = GrpcServer("127.0.0.1:0", services=[SERVICE], reflection_enabled=reflection_enabled)
    rpc.add_TranslationServiceServicer_to_server(Servicer(act), server.server)
    async with server, open_channel(f"127.0.0.1:{server.port}") as channel:
        yield server, channel


def raising(error: BaseException) -> Callable[[], object]:
    """An act that fails."""

    def act() -> object:
        raise error

    return act


async def ask(channel: grpc.aio.Channel, *, timeout_s: float = PATIENCE_S) -> None:
    """One unary call that is answered."""
    stub: rpc.TranslationServiceAsyncStub = rpc.TranslationServiceStub(channel)
    with domain_errors():
        assert await stub.ListLanguages(api.ListLanguagesRequest(), timeout=timeout_s) == ANSWER


async def stream(channel: grpc.aio.Channel) -> None:
    """One stream to its end."""
    stub: rpc.TranslationServiceAsyncStub = rpc.TranslationServiceStub(channel)
    with domain_errors():
        async for response in stub.StreamingTranslate(timeout=PATIENCE_S):
            assert response.HasField("started")


async def health_of(channel: grpc.aio.Channel, service: str) -> int:
    """What health says."""
    answer = await health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S
    )
    return int(answer.status)


class TestErrors:
    """A failure keeps its name on the wire."""

    def test_every_error_is_tried(self) -> None:
        """The list above has one of each class; `Moving`, of another's kind, has its own tests."""
        known = {
            kind
            for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, BabelcastError)
        }
        assert known - {type(error) for error in ALL_ERRORS} == {BabelcastError, RemoteError, errors.Moving}
        assert {error.code for error in ALL_ERRORS} == set(ErrorCode)

    @pytest.mark.parametrize("call", [ask, stream])
    @pytest.mark.parametrize("error", ALL_ERRORS, ids=lambda error: type(error).__name__)
    async def test_cross_with_code_message_and_details(
        self, error: BabelcastError, call: Callable[[grpc.aio.Channel], Awaitable[None]]
    ) -> None:
        """The caller gets what the handler raised, in unary calls and streams."""
        async with served(raising(error)) as (_, channel):
            with pytest.raises(BabelcastError) as caught:
                await call(channel)
        assert isinstance(caught.value, RemoteError)
        assert (caught.value.code, caught.value.message) == (error.code, error.message)
        assert caught.value.details == error.details

    async def test_travel_under_their_status(self) -> None:
        """Other clients see a fitting gRPC status."""
        async with served(raising(errors.SessionNotFound("x"))) as (_, channel):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rpc.TranslationServiceStub(channel).ListLanguages(api.ListLanguagesRequest())
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    async def test_inside_a_group_are_found(self) -> None:
        """A domain error raised by a task of a handler's group keeps its name."""
        group = ExceptionGroup(
            "tasks", [ValueError(SECRET), ExceptionGroup("inner", [errors.TokenExpired()])]
        )
        async with served(raising(group)) as (_, channel):
            with pytest.raises(RemoteError) as caught:
                await ask(channel)
        assert caught.value.code is ErrorCode.TOKEN_EXPIRED

    @pytest.mark.parametrize("call", [ask, stream])
    @pytest.mark.parametrize(
        "error", [ValueError(SECRET), ExceptionGroup(SECRET, [OSError(SECRET)])], ids=repr
    )
    async def test_of_ours_do_not_leak(
        self,
        error: Exception,
        call: Callable[[grpc.aio.Channel], Awaitable[None]],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """An unexpected exception becomes INTERNAL_ERROR; its text stays in the log."""
        async with served(raising(error)) as (_, channel):
            with pytest.raises(BabelcastError) as caught:
                await call(channel)
        assert caught.value.code is ErrorCode.INTERNAL_ERROR
        assert "swordfish" not in caught.value.message
        assert "handler failed" in caplog.messages

    async def test_a_handler_that_cancels_itself_answers(self, caplog: pytest.LogCaptureFixture) -> None:
        """A stray CancelledError does not leave the caller waiting for its deadline."""
        async with served(raising(asyncio.CancelledError())) as (_, channel):
            async with asyncio.timeout(PATIENCE_S / 2):
                with pytest.raises(BabelcastError) as caught:
                    await ask(channel)
        assert caught.value.code is ErrorCode.INTERNAL_ERROR
        assert "handler cancelled itself" in caplog.messages


class TestReaching:
    """Calls that get no answer."""

    async def test_nobody_there_is_unavailable(self) -> None:
        """A closed port is ServiceUnavailable, which says when to try again."""
        async with served(lambda: None) as (server, _):
            port = server.port
        async with open_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(ServiceUnavailable) as caught:
                await ask(channel)
        assert caught.value.details["retryAfter"] == 5

    async def test_no_answer_in_time_is_unavailable(self) -> None:
        """A deadline that passes is ServiceUnavailable."""
        async with served(asyncio.Event().wait) as (_, channel):
            with pytest.raises(ServiceUnavailable):
                await ask(channel, timeout_s=0.05)

    async def test_a_status_of_grpc_itself_is_ours(self) -> None:
        """A refusal that carries no domain error is our mistake, not the client's."""
        async with served(lambda: None) as (_, channel):
            with pytest.raises(InternalError), domain_errors():
                await health_of(channel, "nothing of the kind")

    async def test_idempotent_calls_are_sent_again(self) -> None:
        """UNAVAILABLE is tried again for methods that allow it, and not for others."""
        tries: list[int] = []

        def act() -> None:
            tries.append(1)
            if len(tries) < 3:
                raise ServiceUnavailable("Not yet.")

        async with served(act) as (server, channel):
            with pytest.raises(RemoteError):
                await ask(channel)
            assert len(tries) == 1
            target = f"127.0.0.1:{server.port}"
            async with open_channel(target, service=SERVICE, idempotent=["ListLanguages"]) as patient:
                await ask(patient)
        assert len(tries) == 3


class TestHealth:
    """Health tells the truth."""

    async def test_follows_what_the_service_says(self) -> None:
        """NOT_SERVING until told otherwise, for the whole and for each service."""
        kind = health_pb2.HealthCheckResponse
        async with served(lambda: None) as (server, channel):
            for service in ("", SERVICE):
                assert await health_of(channel, service) == kind.NOT_SERVING
                await server.set_serving(serving=True)
                assert await health_of(channel, service) == kind.SERVING
                await server.set_serving(serving=False)

    async def test_says_so_before_the_server_drains(self) -> None:
        """A watcher hears NOT_SERVING while calls under way still finish."""
        entered, leave = asyncio.Event(), asyncio.Event()

        async def act() -> None:
            entered.set()
            await leave.wait()

        async with served(act) as (server, channel):
            await server.set_serving(serving=True)
            watching = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service=SERVICE)
            )
            assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
            call = asyncio.create_task(ask(channel))
            await entered.wait()
            stopping = asyncio.create_task(server.stop(grace_s=PATIENCE_S))
            assert (await watching.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            leave.set()
            await call
            watching.cancel()
            await stopping


class TestListening:
    """Where a server listens."""

    async def test_a_taken_port_is_told(self) -> None:
        """A second server on the same port fails at once."""
        async with served(lambda: None) as (server, _):
            second = GrpcServer(f"127.0.0.1:{server.port}", services=[SERVICE])
            with pytest.raises(ServiceUnavailable, match="in use"):
                await second.start()

    async def test_reflection_is_a_switch(self) -> None:
        """Services are listed where that is on, and nowhere else."""
        listing = reflection_pb2.ServerReflectionRequest(list_services="")
        async with served(lambda: None, reflection_enabled=True) as (_, channel):
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            async for answer in stub.ServerReflectionInfo(iter([listing])):
                names = [service.name for service in answer.list_services_response.service]
                assert SERVICE in names
                break
        async with served(lambda: None) as (_, channel):
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async for _ in stub.ServerReflectionInfo(iter([listing])):
                    pass
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
