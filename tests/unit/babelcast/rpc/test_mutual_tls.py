"""Calls between services under mutual TLS and tokens, with certificates made on the spot."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.errors import ServiceUnavailable
from babelcast.rpc import credentials_channel, tls_files
from babelcast.rpc.client import domain_errors, open_channel
from babelcast.rpc.credentials import MIN_TOKEN_CHARS, Calling, Protection
from babelcast.rpc.server import GrpcServer
from babelcast.rpc.tls_files import TlsFiles
from babelcast.translation.v1 import translation_pb2 as api
from babelcast.translation.v1 import translation_pb2_grpc as rpc
from tests.certificates import Authority

SERVICE = api.DESCRIPTOR.services_by_name["TranslationService"].full_name
PATIENCE_S = 10.0
PEERS = frozenset({"gateway", "spiffe://here/gateway"})
OLD, NEW = "o" * MIN_TOKEN_CHARS, "n" * MIN_TOKEN_CHARS
_Context = grpc.aio.ServicerContext[api.StreamingTranslateRequest, api.StreamingTranslateResponse]


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One for all tests."""
    return Authority.make()


@pytest.fixture(autouse=True)
def looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for files to be looked at."""
    monkeypatch.setattr(tls_files, "LOOK_EVERY_S", 0.0)


class Echo(rpc.TranslationServiceServicer):
    """Answers whoever gets so far, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    async def ListLanguages(  # noqa: N802 - the contract's name
        self,
        request: api.ListLanguagesRequest,
        context: "grpc.aio.ServicerContext[api.ListLanguagesRequest, api.ListLanguagesResponse]",
    ) -> api.ListLanguagesResponse:
        """Nothing."""
        self.calls += 1
        return api.ListLanguagesResponse()

    async def StreamingTranslate(  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[api.StreamingTranslateRequest], context: _Context
    ) -> AsyncIterator[api.StreamingTranslateResponse]:
        """One answer for each message."""
        self.calls += 1
        async for _ in request_iterator:
            yield api.StreamingTranslateResponse(started=api.StreamStarted())


class Running:
    """A service and the certificates around it."""

    def __init__(self, server: GrpcServer, echo: Echo, directory: Path, authority: Authority) -> None:
        self.server = server
        self.echo = echo
        self.directory = directory
        self.authority = authority

    def files(
        self, *names: str, by: Authority | None = None, ends: timedelta = timedelta(days=20)
    ) -> TlsFiles:
        """A caller's certificate, signed by our authority unless another is given; all trust ours."""
        made = (by or self.authority).sign(*names, common_name="gateway", ends=ends)
        return TlsFiles(made.write(self.directory / "caller", ca=self.authority.pem))

    def channel(self, calling: Calling | None, *, host: str = "127.0.0.1") -> grpc.aio.Channel:
        """To the service."""
        return open_channel(f"{host}:{self.server.port}", calling=calling)


@asynccontextmanager
async def running(
    directory: Path, authority: Authority, *names: str, tokens: tuple[str, ...] = (), plain: bool = False
) -> AsyncIterator[Running]:
    """A service whose certificate is for `names`; without TLS if `plain`."""
    made = authority.sign(*(names or ("127.0.0.1",)))
    files = None if plain else TlsFiles(made.write(directory / "service", ca=authority.pem))
    protection = Protection(files=files, peers=PEERS, tokens=tokens, health_bind="127.0.0.1:0")
    server = GrpcServer("127.0.0.1:0", services=[SERVICE], protection=protection)
    echo = Echo()
    rpc.add_TranslationServiceServicer_to_server(echo, server.server)
    async with server:
        yield Running(server, echo, directory, authority)


async def ask(channel: grpc.aio.Channel) -> grpc.StatusCode:
    """The status of a unary call."""
    stub: rpc.TranslationServiceAsyncStub = rpc.TranslationServiceStub(channel)
    try:
        await stub.ListLanguages(api.ListLanguagesRequest(), timeout=PATIENCE_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def stream(channel: grpc.aio.Channel) -> grpc.StatusCode:
    """The status of a stream of one message."""
    stub: rpc.TranslationServiceAsyncStub = rpc.TranslationServiceStub(channel)
    call = stub.StreamingTranslate(timeout=PATIENCE_S)
    try:
        await call.write(api.StreamingTranslateRequest())
        await call.done_writing()
        while await call.read() is not grpc.aio.EOF:
            pass
    except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
        pass  # it is over already; its status tells
    return await call.code()


async def test_a_named_caller_is_served(tmp_path: Path, authority: Authority) -> None:
    """By a name or by a URI of its certificate."""
    async with running(tmp_path, authority) as service:
        for name in PEERS:
            async with service.channel(Calling(service.files(name))) as channel:
                assert await ask(channel) is grpc.StatusCode.OK
                assert await stream(channel) is grpc.StatusCode.OK


async def test_a_caller_of_another_name_is_refused(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Though our authority signed it, and its common name, which does not count, is the gateway's."""
    async with running(tmp_path, authority) as service:
        async with service.channel(Calling(service.files("session", "gateway.elsewhere"))) as channel:
            assert await ask(channel) is grpc.StatusCode.PERMISSION_DENIED
            assert await stream(channel) is grpc.StatusCode.PERMISSION_DENIED
            stub: rpc.TranslationServiceAsyncStub = rpc.TranslationServiceStub(channel)
            with caplog.at_level(logging.ERROR), pytest.raises(ServiceUnavailable), domain_errors():
                await stub.ListLanguages(api.ListLanguagesRequest(), timeout=PATIENCE_S)
            assert "a service does not take our calls" in caplog.messages
        assert service.echo.calls == 0


@pytest.mark.parametrize(
    "caller",
    [
        pytest.param(lambda service: service.files("gateway", by=Authority.make()), id="unknown authority"),
        pytest.param(lambda service: service.files("gateway", ends=timedelta(minutes=-5)), id="expired"),
        pytest.param(lambda _: None, id="no certificate"),
    ],
)
async def test_a_caller_whose_certificate_is_not_good_gets_no_connection(
    tmp_path: Path, authority: Authority, caller: Callable[[Running], TlsFiles | None]
) -> None:
    """Of another authority with the right name, of yesterday, or none at all."""
    async with running(tmp_path, authority) as service, service.channel(Calling(caller(service))) as channel:
        assert await ask(channel) is grpc.StatusCode.UNAVAILABLE
        assert service.echo.calls == 0


async def test_a_service_of_another_name_is_not_called(tmp_path: Path, authority: Authority) -> None:
    """A service cannot pass for another one."""
    async with running(tmp_path, authority, "session") as service:
        async with service.channel(Calling(service.files("gateway"))) as channel:
            assert await ask(channel) is grpc.StatusCode.UNAVAILABLE
        assert service.echo.calls == 0


async def test_a_service_of_another_authority_is_not_called(tmp_path: Path, authority: Authority) -> None:
    """Whatever name it has."""
    async with running(tmp_path, Authority.make(), "127.0.0.1") as service:
        files = TlsFiles(authority.sign("gateway").write(tmp_path / "other", ca=authority.pem))
        async with service.channel(Calling(files)) as channel:
            assert await ask(channel) is grpc.StatusCode.UNAVAILABLE


async def test_certificates_are_exchanged_while_calls_go_on(tmp_path: Path, authority: Authority) -> None:
    """Both sides go over to a new authority without a restart; a stream that is open goes on over it all."""
    async with running(tmp_path, authority) as service:
        files = service.files("gateway")
        async with service.channel(Calling(files)) as channel:
            stub: rpc.TranslationServiceAsyncStub = rpc.TranslationServiceStub(channel)
            open_stream = stub.StreamingTranslate()
            await open_stream.write(api.StreamingTranslateRequest())
            await open_stream.read()
            assert await ask(channel) is grpc.StatusCode.OK

            successor = Authority.make("successor")
            both = authority.pem + successor.pem
            caller, server = tmp_path / "caller", tmp_path / "service"
            steps = (  # as an operator does it: trust both, show the new, trust the new alone
                (authority, both),
                (successor, both),
                (successor, successor.pem),
            )
            for signer, trusted in steps:
                signer.sign("127.0.0.1").write(server, ca=trusted)
                assert await ask(channel) is grpc.StatusCode.OK
                signer.sign("gateway").write(caller, ca=trusted)
                assert await ask(channel) is grpc.StatusCode.OK
                await open_stream.write(api.StreamingTranslateRequest())
                assert await open_stream.read() is not grpc.aio.EOF

            stale = TlsFiles(authority.sign("gateway").write(tmp_path / "stale", ca=both))
            async with service.channel(Calling(stale)) as left_behind:
                assert await ask(left_behind) is grpc.StatusCode.UNAVAILABLE
            await open_stream.done_writing()
            assert await open_stream.code() is grpc.StatusCode.OK


async def test_an_old_connection_does_not_stay_for_ever(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that outlasts its certificate by too long is ended, and its owner calls anew."""
    monkeypatch.setattr(credentials_channel, "LET_GO_S", 0.05)
    async with running(tmp_path, authority) as service:
        files = service.files("gateway")
        async with service.channel(Calling(files)) as channel:
            stub: rpc.TranslationServiceAsyncStub = rpc.TranslationServiceStub(channel)
            open_stream = stub.StreamingTranslate()
            await open_stream.write(api.StreamingTranslateRequest())
            await open_stream.read()
            service.files("gateway")
            assert await ask(channel) is grpc.StatusCode.OK
            async with asyncio.timeout(PATIENCE_S):
                assert await open_stream.code() is grpc.StatusCode.CANCELLED


async def test_probes_need_neither_certificate_nor_token(tmp_path: Path, authority: Authority) -> None:
    """On a port of their own, where nothing but health is told; it is the truth, to the end."""
    async with running(tmp_path, authority, tokens=(OLD,)) as service:
        port = service.server.health_port
        async with open_channel(f"127.0.0.1:{port}") as channel:
            health: health_pb2_grpc.HealthAsyncStub = health_pb2_grpc.HealthStub(channel)
            wanted = health_pb2.HealthCheckRequest(service=SERVICE)
            for serving in (False, True):
                await service.server.set_serving(serving=serving)
                answer = await health.Check(wanted, timeout=PATIENCE_S)
                assert (answer.status == health_pb2.HealthCheckResponse.SERVING) is serving
            assert await ask(channel) is grpc.StatusCode.UNIMPLEMENTED
            assert service.echo.calls == 0


async def test_tokens_without_tls(tmp_path: Path, authority: Authority) -> None:
    """Each good one opens, another or none does not; health is told to all."""
    async with running(tmp_path, authority, tokens=(NEW, OLD), plain=True) as service:
        for token, status in (
            (NEW, grpc.StatusCode.OK),
            (OLD, grpc.StatusCode.OK),
            ("x" * 40, grpc.StatusCode.UNAUTHENTICATED),
            ("", grpc.StatusCode.UNAUTHENTICATED),
        ):
            async with service.channel(Calling(token=token)) as channel:
                assert await ask(channel) is status
                assert await stream(channel) is status
        assert service.echo.calls == 4
        async with service.channel(None) as channel:
            health: health_pb2_grpc.HealthAsyncStub = health_pb2_grpc.HealthStub(channel)
            await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)


async def test_tls_and_a_token_are_both_needed(tmp_path: Path, authority: Authority) -> None:
    """When both are on."""
    async with running(tmp_path, authority, tokens=(OLD,)) as service:
        files = service.files("gateway")
        async with service.channel(Calling(files)) as channel:
            assert await ask(channel) is grpc.StatusCode.UNAUTHENTICATED
        async with service.channel(Calling(files, OLD)) as channel:
            assert await ask(channel) is grpc.StatusCode.OK
            await channel.channel_ready()
            assert channel.get_state() is grpc.ChannelConnectivity.READY
