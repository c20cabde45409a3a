"""Several replicas of the session service, which tell each other their changes over a real NATS."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import nats
import pytest

from babelcast.errors import InvalidConfiguration
from babelcast.session.v1 import session_pb2 as pb
from session_svc import sharing
from session_svc.config import SessionConfig
from tests.integration.session_svc.running import TIMEOUT_S, Running, config, on_tables, running
from tests.nats_server import NatsServer

Changes = AsyncIterator[pb.WatchSessionsResponse]

STORES = ["sqlite", "dynamodb"]


@pytest.fixture(params=STORES)
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> SessionConfig:
    """Where replicas keep their record: one file, or tables."""
    if request.param == "sqlite":
        return config(tmp_path)
    return await on_tables(tmp_path, request.getfixturevalue("dynamodb"))


@pytest.fixture(autouse=True)
def settles_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches end soon after something was missed."""
    monkeypatch.setattr(sharing, "SETTLE_S", 0.05)


async def until(changes: Changes, kind: str) -> pb.WatchSessionsResponse:
    """The next change of a kind."""
    async with asyncio.timeout(TIMEOUT_S):
        async for change in changes:
            if change.WhichOneof("change") == kind:
                return change
    raise AssertionError("the watch ended well")


async def ended(changes: Changes) -> None:
    """Wait until a watch is broken off, so that its holder opens another."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async with asyncio.timeout(TIMEOUT_S * 2):
            async for _ in changes:
                pass
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


@asynccontextmanager
async def two(settings: SessionConfig, bus_url: str) -> AsyncIterator[tuple[Running, Running]]:
    """Two replicas, once the first has heard that the second is there."""
    async with (
        running(settings, bus_url=bus_url) as one,
        one.watching() as changes,
        running(settings, bus_url=bus_url) as other,
    ):
        await ended(changes)
        yield one, other


async def sees(replica: Running, code: str, languages: dict[str, int]) -> None:
    """Hold the audience as a gateway does, through as many watches as it takes, until it is that."""
    async with asyncio.timeout(TIMEOUT_S * 2):
        while True:
            with suppress(grpc.aio.AioRpcError):
                async with replica.watching() as changes:
                    audience = (await replica.got(code)).audience
                    while dict(audience.languages) != languages:
                        audience = (await until(changes, "audience")).audience
                    return


async def test_it_does_not_matter_which_one_is_watched(
    settings: SessionConfig, nats_server: NatsServer
) -> None:
    """Changes made by one are seen by the watchers of both, with the same ends; none is seen twice."""
    async with AsyncExitStack() as stack:
        pair = await stack.enter_async_context(two(settings, nats_server.url))
        one, other = pair
        watches = [await stack.enter_async_context(replica.watching()) for replica in pair]
        code = (await one.created()).session.session_id
        await one.joined(code, "l1")
        await other.stub.UpdateBroadcast(
            pb.UpdateBroadcastRequest(session_id=code, connection_id="speaker", is_muted=True, volume=0.5)
        )
        await other.stub.EndSession(pb.EndSessionRequest(session_id=code, connection_id="speaker"))
        for changes in watches:
            audience = await anext(changes)
            assert (audience.session_id, dict(audience.audience.languages)) == (code, {"es": 1})
            broadcast = (await anext(changes)).broadcast
            assert (broadcast.is_active, broadcast.is_muted, broadcast.volume) == (True, True, 0.5)
            assert (await anext(changes)).ended.reason == "speakerEnded"


async def test_the_last_that_is_heard_is_how_it_is(settings: SessionConfig, nats_server: NatsServer) -> None:
    """Joins and leaves on both at once: each watcher's last word on the audience is what the record says."""
    async with AsyncExitStack() as stack:
        pair = await stack.enter_async_context(two(settings, nats_server.url))
        watches = [await stack.enter_async_context(replica.watching()) for replica in pair]
        code = (await pair[0].created()).session.session_id

        async def comes_and_goes(number: int) -> None:
            here, there = pair[number % 2], pair[(number + 1) % 2]
            await here.joined(code, f"l{number}", "es" if number % 3 else "fr")
            if number % 2:
                await there.disconnected(f"l{number}")

        await asyncio.gather(*map(comes_and_goes, range(24)))
        truth = (await pair[0].got(code)).audience
        assert truth.listener_count == 12
        await pair[0].stub.EndSession(pb.EndSessionRequest(session_id=code, connection_id="speaker"))
        for changes in watches:
            last = None
            async with asyncio.timeout(TIMEOUT_S):
                while (change := await anext(changes)).WhichOneof("change") != "ended":
                    last = change.audience
            assert last == truth


async def test_what_is_due_is_done_once(settings: SessionConfig, nats_server: NatsServer) -> None:
    """Both sweep at the same moment; each session that is over by its time ends once, for all watchers."""
    async with AsyncExitStack() as stack:
        short = replace(settings, session_max_duration_hours=1.0 / 3600)
        pair = await stack.enter_async_context(two(short, nats_server.url))
        watches = [await stack.enter_async_context(replica.watching()) for replica in pair]
        codes = {
            (await pair[n % 2].created(f"s{n}", f"r{n}", f"speaker{n}")).session.session_id for n in range(8)
        }
        for replica in pair:
            replica.server._sweeper._due.set()
        for changes in watches:
            ends = Counter([(await until(changes, "ended")).session_id for _ in codes])
            assert ends == dict.fromkeys(codes, 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await anext(changes)


async def test_nats_is_away_for_a_while(settings: SessionConfig, mortal_nats: NatsServer) -> None:
    """The service goes on; when NATS is back, all watches end, and who looks again knows what was missed."""
    async with two(settings, mortal_nats.url) as (one, other):
        code = (await one.created()).session.session_id
        async with one.watching() as here, other.watching() as there:
            mortal_nats.kill()
            await one.joined(code, "l1")
            assert (await until(here, "audience")).audience.listener_count == 1
            mortal_nats.start()
            await ended(here)
            await ended(there)
        await sees(other, code, {"es": 1})
        async with asyncio.TaskGroup() as group:
            for replica in (one, other):
                group.create_task(sees(replica, code, {"es": 1, "fr": 1}))
            await one.joined(code, "l2", "fr")


async def test_a_replica_that_was_cut_off_says_so(tmp_path: Path, nats_server: NatsServer) -> None:
    """What one said before it was new, as after a crash, was maybe not heard: the others' watches end."""
    async with AsyncExitStack() as stack:
        settings = config(tmp_path)
        first = await stack.enter_async_context(running(settings, bus_url=nats_server.url))
        async with first.watching() as changes:
            await stack.enter_async_context(running(settings, bus_url=nats_server.url))
            await ended(changes)


async def test_starting_while_nats_is_away(
    tmp_path: Path, mortal_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is served; changes are shared from the moment that NATS is there, few of those before it."""
    monkeypatch.setattr(sharing, "OPEN_S", 0.2)
    monkeypatch.setattr(sharing, "CAPACITY", 2)
    mortal_nats.kill()
    async with AsyncExitStack() as stack:
        settings = config(tmp_path)
        pair = [await stack.enter_async_context(running(settings, bus_url=mortal_nats.url)) for _ in "ab"]
        code = (await pair[0].created()).session.session_id
        async with pair[0].watching() as here, pair[1].watching() as there:
            for number in range(5):
                await pair[0].joined(code, f"l{number}", "fr")
            mortal_nats.start()
            await ended(here)
            await ended(there)
        async with asyncio.TaskGroup() as group:
            for replica in pair:
                group.create_task(sees(replica, code, {"fr": 5, "es": 1}))
            await pair[0].joined(code)


async def test_a_user_who_may_not_use_the_subject(tmp_path: Path) -> None:
    """It is said at the start, rather than by changes that never come."""
    access = tmp_path / "access.conf"
    access.write_text(
        "max_payload: 8MB\n"
        "authorization { users: [{ user: u, password: p, permissions: "
        '{ publish: ["other"], subscribe: ["_INBOX.>"] } }] }\n'
    )
    server = NatsServer(tmp_path / "store", "--config", str(access))
    server.start()
    try:
        with pytest.raises(InvalidConfiguration, match="babelcast-sessions"):
            async with running(config(tmp_path), bus_url=server.url.replace("//", "//u:p@")):
                pass
    finally:
        server.stop()


async def test_nonsense_on_the_subject(tmp_path: Path, nats_server: NatsServer) -> None:
    """What no replica would say changes nothing and ends nothing."""
    async with running(config(tmp_path), bus_url=nats_server.url) as one:
        code = (await one.created()).session.session_id
        client = await nats.connect(nats_server.url)
        async with one.watching() as changes:
            await client.publish(sharing.SUBJECT, b"\xff\xff nonsense")
            await client.publish(sharing.SUBJECT, b"", headers={sharing.REVISION: "x"})
            await client.publish(sharing.SUBJECT, b"")
            await client.flush()
            await one.joined(code)
            assert (await until(changes, "audience")).audience.listener_count == 1
        await client.close()
