"""The tables are out of reach for longer than a lease lasts."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import pytest

from babelcast.session.v1 import session_pb2 as pb
from session_svc.store.dynamodb.tables import TableNames
from tests.integration.session_svc.running import TIMEOUT_S, Running, on_tables, running
from tests.wire_cut import CuttableWire

LEASE_S = 3.0
RENEWALS_S = 0.5
ANSWER_S = 5.0
"""As long as gateways wait."""


@dataclass
class Gateway:
    """Renews its lease, whatever comes, when it may, and notes what it is told."""

    service: Running
    may_speak: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[bool | grpc.StatusCode] = field(default_factory=list)
    slowest_s: float = 0.0

    async def live(self) -> None:
        """Until cancelled."""
        while True:
            await self.may_speak.wait()
            begun_s = time.monotonic()
            try:
                request = pb.RenewLeaseRequest(gateway_id="g1")
                self.told.append((await self.service.stub.RenewLease(request, timeout=TIMEOUT_S)).held)
            except grpc.aio.AioRpcError as error:
                self.told.append(error.code())
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun_s)
            await asyncio.sleep(RENEWALS_S)


async def until(done: Callable[[], bool]) -> None:
    """Wait for something that tells nobody."""
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, float]:
    """How a call fails, and how long that takes."""
    begun_s = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), time.monotonic() - begun_s


def watched_for_s(service: Running) -> float:
    """How long the service has looked at leases without a break."""
    leases = service.server._sweeper._sessions.leases
    return 0.0 if leases._looked_ms is None else (leases._looked_ms - leases._watching_since_ms) / 1000


async def test_nobody_is_taken_for_gone_because_of_an_outage(
    dynamodb: TableNames, dynamodb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls are refused, soon at once; then all goes on, with everybody who was there.

    In the first outage nobody answers, in the second connections are refused.
    """
    on_the_wire = await on_tables(tmp_path, dynamodb)
    async with CuttableWire.to(int(dynamodb_url.rpartition(":")[2])) as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{wire.port}")
        settings = replace(on_the_wire, gateway_lease_seconds=LEASE_S)
        async with running(settings) as service, service.watching() as changes:
            gateway = Gateway(service)
            created = await service.stub.CreateSession(
                pb.CreateSessionRequest(
                    speaker_id="anna",
                    connection_id="speaker",
                    settings=pb.SessionSettings(source_language="en"),
                    gateway_id="g1",
                )
            )
            code = created.session.session_id
            await service.stub.JoinSession(
                pb.JoinSessionRequest(
                    session_id=code, connection_id="l1", target_language="es", gateway_id="g1"
                )
            )
            assert (await anext(changes)).audience.listener_count == 1
            gateway.may_speak.set()
            living = asyncio.create_task(gateway.live())
            for begin in (wire.mute, wire.cut):
                # Only who has watched for as long as a lease lasts takes anybody for gone.
                await until(lambda: watched_for_s(service) > LEASE_S)
                begin()
                gone_s = time.monotonic()
                calls = 0
                while calls < 4 or time.monotonic() < gone_s + LEASE_S + 1:
                    how, took_s = await refused(service.joined(code, "l2"))
                    assert how is grpc.StatusCode.UNAVAILABLE
                    assert took_s < ANSWER_S
                    calls += 1
                    await asyncio.sleep(0.1)
                gateway.told.clear()
                gateway.may_speak.clear()
                wire.mend()
                await until(lambda: service.server._sweeper._serving)  # the lease has run out long ago
                gateway.may_speak.set()
                await until(lambda: True in gateway.told)
                await until(lambda: watched_for_s(service) > LEASE_S)
                session = await service.got(code)
                assert (session.audience.listener_count, session.speaker_present) == (1, True)
            living.cancel()
            assert gateway.slowest_s < ANSWER_S
            assert False not in gateway.told
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(changes)
