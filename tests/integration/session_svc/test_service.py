"""The session service over real gRPC."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.errors import BabelcastError, ErrorCode, RemoteError, ServiceUnavailable
from babelcast.rpc.client import domain_errors
from babelcast.session.v1 import session_pb2 as pb
from session_svc.server import SERVICE, SessionServer
from tests.integration.session_svc.running import TIMEOUT_S, Running, config, running


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    """A service with the default limits."""
    async with running(config(tmp_path)) as made:
        yield made


async def code_of(call: Awaitable[object]) -> ErrorCode:
    """The protocol's code of a call that fails."""
    with pytest.raises(BabelcastError) as raised, domain_errors():
        await call
    return raised.value.code


async def test_one_session_from_beginning_to_end(service: Running) -> None:
    """Create, join, change, control, refresh, leave and end; watchers see each change once."""
    stub = service.stub
    async with service.watching() as changes:
        created = await service.created()
        code = created.session.session_id
        assert created.session.settings == pb.SessionSettings(
            source_language="en",
            quality_tier=pb.QUALITY_TIER_STANDARD,
            partial_results=True,
            min_stability=0.85,
            max_buffer_timeout_s=5,
        )
        assert created.session.broadcast.is_active
        assert created.session.broadcast.volume == 1.0
        assert created.session.expires_at_ms - created.session.created_at_ms == 7_200_000
        joined = await service.joined(code)
        assert dict(joined.session.audience.languages) == {"es": 1}
        await stub.ChangeLanguage(pb.ChangeLanguageRequest(connection_id="listener", target_language="fr"))
        muted = await stub.UpdateBroadcast(
            pb.UpdateBroadcastRequest(session_id=code, connection_id="speaker", is_muted=True)
        )
        assert (muted.session.broadcast.is_muted, muted.session.broadcast.is_paused) == (True, False)
        refreshed = await stub.RefreshConnection(
            pb.RefreshConnectionRequest(
                session_id=code, connection_id="speaker-2", resume_token=created.resume_token
            )
        )
        assert refreshed.role == pb.ROLE_SPEAKER
        assert refreshed.previous_connection_id == "speaker"
        assert refreshed.session.broadcast.is_muted
        returned = await stub.RefreshConnection(
            pb.RefreshConnectionRequest(
                session_id=code, connection_id="listener-2", resume_token=joined.resume_token
            )
        )
        assert (returned.role, returned.target_language) == (pb.ROLE_LISTENER, "fr")
        assert returned.resume_token not in {"", joined.resume_token}
        await service.disconnected("listener-2")
        ended = await stub.EndSession(
            pb.EndSessionRequest(session_id=code, connection_id="speaker-2", reason="lunch")
        )
        assert not ended.session.broadcast.is_active
        seen = [await anext(changes) for _ in range(5)]
    assert {change.session_id for change in seen} == {code}
    assert [change.WhichOneof("change") for change in seen] == [
        "audience",
        "audience",
        "broadcast",
        "audience",
        "ended",
    ]
    assert [dict(change.audience.languages) for change in seen] == [{"es": 1}, {"fr": 1}, {}, {}, {}]
    assert seen[4].ended.reason == "lunch"


async def test_settings_travel_whole(service: Running) -> None:
    """Everything a speaker chooses is there when it is read."""
    chosen = pb.SessionSettings(
        source_language="es",
        quality_tier=pb.QUALITY_TIER_PREMIUM,
        min_stability=0.7,
        max_buffer_timeout_s=10,
        glossary=[pb.GlossaryTerm(term="gato", translations={"en": "cat", "fr": "chat"})],
    )
    created = await service.stub.CreateSession(
        pb.CreateSessionRequest(speaker_id="a", connection_id="c", settings=chosen)
    )
    assert (await service.got(created.session.session_id)).settings == chosen


async def test_errors_have_their_codes(service: Running) -> None:
    """What the rules refuse arrives as the protocol's code."""
    created = await service.created()
    code = created.session.session_id
    await service.joined(code)
    stub = service.stub

    def end(connection_id: str) -> Awaitable[object]:
        return stub.EndSession(pb.EndSessionRequest(session_id=code, connection_id=connection_id))

    assert await code_of(stub.GetSession(pb.GetSessionRequest(session_id="x"))) == "INVALID_SESSION_ID"
    assert (
        await code_of(stub.GetSession(pb.GetSessionRequest(session_id="golden-eagle-427")))
        == "SESSION_NOT_FOUND"
    )
    assert await code_of(end("nobody")) == "FORBIDDEN"
    assert await code_of(end("listener")) == "UNAUTHORIZED_ACTION"
    assert (
        await code_of(
            stub.JoinSession(
                pb.JoinSessionRequest(session_id=code, connection_id="speaker", target_language="es")
            )
        )
        == "CONFLICT"
    )
    assert (
        await code_of(
            stub.RefreshConnection(
                pb.RefreshConnectionRequest(session_id=code, connection_id="n", resume_token="bad")
            )
        )
        == "UNAUTHORIZED"
    )
    await end("speaker")
    assert await code_of(stub.GetSession(pb.GetSessionRequest(session_id=code))) == "SESSION_ENDED"


async def test_capacity_over_the_wire(tmp_path: Path) -> None:
    """200 concurrent joins with a cap of 50 let exactly 50 in; the last event is the exact audience."""
    async with running(config(tmp_path), max_listeners_per_session=50) as service:
        code = (await service.created()).session.session_id
        async with service.watching() as changes:
            outcomes = await asyncio.gather(
                *(service.joined(code, f"c{i}", ("es", "fr")[i % 2]) for i in range(200)),
                return_exceptions=True,
            )
            let_in = [outcome for outcome in outcomes if isinstance(outcome, pb.JoinSessionResponse)]
            assert len(let_in) == 50
            seen = [(await anext(changes)).audience for _ in range(50)]
        assert [audience.listener_count for audience in seen] == list(range(1, 51))
        assert (await service.got(code)).audience == seen[-1]


async def test_the_grace_period_ends_a_session(tmp_path: Path) -> None:
    """A speaker who stays away ends the session when the time is up, without anybody asking."""
    async with (
        running(config(tmp_path), speaker_grace_seconds=0.05) as service,
        service.watching() as changes,
    ):
        code = (await service.created()).session.session_id
        await service.disconnected("speaker")
        change = await anext(changes)
        assert (change.session_id, change.ended.reason) == (code, "speakerDisconnected")


async def test_a_restart_keeps_sessions_and_timers(tmp_path: Path) -> None:
    """Another service on the same file has the sessions, and ends those whose time came meanwhile."""
    settings = config(tmp_path)
    async with running(settings, speaker_grace_seconds=0.2) as before:
        kept = await before.created("stays")
        await before.joined(kept.session.session_id)
        lost = await before.created("goes", "r2", "ben")
        await before.disconnected("goes")
    async with running(settings) as after, after.watching() as changes:
        session = await after.got(kept.session.session_id)
        assert dict(session.audience.languages) == {"es": 1}
        assert session.created_at_ms == kept.session.created_at_ms
        try:
            await after.got(lost.session.session_id)
        except grpc.aio.AioRpcError:
            pass  # its time was up before the watch was open
        else:
            change = await anext(changes)
            assert (change.session_id, change.ended.reason) == (
                lost.session.session_id,
                "speakerDisconnected",
            )
        refreshed = await after.stub.RefreshConnection(
            pb.RefreshConnectionRequest(
                session_id=kept.session.session_id, connection_id="new", resume_token=kept.resume_token
            )
        )
        assert refreshed.role == pb.ROLE_SPEAKER


async def test_a_restart_that_took_the_gateways_along(tmp_path: Path) -> None:
    """When all connections are known to be lost, listeners do not count and speakers have their grace."""
    settings = config(tmp_path)
    async with running(settings) as before:
        created = await before.created()
        joined = await before.joined(created.session.session_id)
    async with running(settings, connections_lost=True) as after:
        code = created.session.session_id
        assert (await after.got(code)).audience.listener_count == 0
        again = await after.joined(code, "listener-2", "es", joined.resume_token)
        assert again.session.audience.listener_count == 1
        with pytest.raises(grpc.aio.AioRpcError):
            await after.stub.EndSession(pb.EndSessionRequest(session_id=code, connection_id="speaker"))


async def test_a_watcher_is_told_when_the_service_stops(tmp_path: Path) -> None:
    """A watch ends with an error that says to open another, and stopping does not wait for watchers."""
    async with running(config(tmp_path)) as service, service.watching() as changes:
        async with asyncio.timeout(10):
            await service.server.aclose()
        with pytest.raises(BabelcastError) as raised, domain_errors():
            await anext(changes)
        assert raised.value.code is ErrorCode.SERVICE_UNAVAILABLE
        await service.server.wait()


async def test_health(service: Running) -> None:
    """Health speaks for the service by name, and for the server."""
    health = health_pb2_grpc.HealthStub(service.channel)
    for name in ("", SERVICE):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=TIMEOUT_S)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_port_that_is_taken(service: Running, tmp_path: Path) -> None:
    """A second service on the port is refused by name and leaves nothing open."""
    settings = config(tmp_path / "other")
    taken = f"127.0.0.1:{service.server.port}"
    with pytest.raises(ServiceUnavailable, match="in use"):
        async with running(settings, session_bind=taken):  # type: ignore[arg-type]
            pass
    async with running(settings):
        pass


async def test_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    """A service without its record does not start."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ServiceUnavailable):
        await SessionServer.start(config(tmp_path / "file" / "below"))


async def test_leases_over_the_wire(service: Running) -> None:
    """A gateway hears that it holds its lease and how long it is good, and may seat connections under it."""
    renewed = await service.stub.RenewLease(pb.RenewLeaseRequest(gateway_id="g1"), timeout=10)
    assert (renewed.held, renewed.lease_ms) == (True, 30_000)
    code = (await service.created()).session.session_id
    request = pb.JoinSessionRequest(
        session_id=code, connection_id="c1", target_language="es", gateway_id="g1"
    )
    joined = await service.stub.JoinSession(request, timeout=10)
    assert joined.session.audience.languages == {"es": 1}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await service.stub.RenewLease(pb.RenewLeaseRequest(), timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_second_session_of_a_speaker(service: Running) -> None:
    """It is refused by the code of the protocol, with the limit and the time until there is a place."""
    await service.created("s1", "r1")
    with pytest.raises(RemoteError) as refused, domain_errors():
        await service.created("s2", "r2")
    assert refused.value.code is ErrorCode.MAX_SESSIONS_EXCEEDED
    assert refused.value.details["limit"] == 1
    assert isinstance(refused.value.details["retryAfter"], float)
    assert 7100 < refused.value.details["retryAfter"] <= 7200


async def test_the_operators_calls_over_the_wire(service: Running) -> None:
    """Pages are without glossaries, which would be too long for an answer; an end tells its reason."""
    glossary = [pb.GlossaryTerm(term="Babelcast", translations={"es": "Babelcast"})]
    settings = pb.SessionSettings(source_language="en", glossary=glossary)
    for number in range(3):
        request = pb.CreateSessionRequest(
            speaker_id=f"speaker{number}", connection_id=f"s{number}", gateway_id="g1", settings=settings
        )
        created = await service.stub.CreateSession(request, timeout=10)
    pages = [await service.stub.ListSessions(pb.ListSessionsRequest(page_size=2), timeout=10)]
    request_more = pb.ListSessionsRequest(page_size=2, page_token=pages[0].next_page_token)
    pages.append(await service.stub.ListSessions(request_more, timeout=10))
    seen = [session for page in pages for session in page.sessions]
    assert len({session.session_id for session in seen}) == 3
    assert not any(session.settings.glossary for session in seen)
    assert len({session.speaker_hash for session in seen}) == 3
    assert created.session.speaker_hash in {session.speaker_hash for session in seen}
    assert created.session.settings.glossary
    async with service.watching() as changes:
        closing = pb.CloseSessionRequest(session_id=created.session.session_id)
        closed = await service.stub.CloseSession(closing, timeout=10)
        assert not closed.session.broadcast.is_active
        assert (await anext(changes)).ended.reason == "endedByOperator"
