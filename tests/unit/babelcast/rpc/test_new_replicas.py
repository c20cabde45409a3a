"""A replica that is added gets its share of the calls, though its callers were connected to others before."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.rpc import client, server
from babelcast.rpc.client import open_channel
from babelcast.rpc.options import CLIENT, SERVER
from babelcast.rpc.server import GrpcServer

AGE: Final = "grpc.max_connection_age_ms"
FIRST, SECOND = "127.0.0.1", "127.0.0.2"
ASK = health_pb2.HealthCheckRequest()


class Names(asyncio.DatagramProtocol):
    """A DNS server with one name, whatever it is asked for."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = [*addresses]
        self.port = 0
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where answers go."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer questions for IPv4 with all addresses, others with none (RFC 1035)."""
        end = 12
        while data[end]:
            end += data[end] + 1
        (kind,) = struct.unpack(">H", data[end + 1 : end + 3])
        known = self.addresses if kind == 1 else []
        answers = [
            b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + bytes(map(int, address.split(".")))
            for address in known
        ]
        head = data[:2] + b"\x84\x00" + struct.pack(">HHHH", 1, len(answers), 0, 0)
        self._transport.sendto(head + data[12 : end + 5] + b"".join(answers), addr)


@asynccontextmanager
async def names(*addresses: str) -> AsyncIterator[Names]:
    """A DNS server on a free port."""
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Names(*addresses), local_addr=("127.0.0.1", 0)
    )
    try:
        yield made
    finally:
        transport.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections get old in half a second, and DNS is asked again as soon."""
    aged = [(name, 500 if name == AGE else value) for name, value in SERVER]
    assert aged != [*SERVER]
    monkeypatch.setattr(server, "SERVER", tuple(aged))
    quick = ("grpc.dns_min_time_between_resolutions_ms", 100)
    monkeypatch.setattr(client, "CLIENT", (*CLIENT, quick))


@pytest.mark.usefixtures("hasty")
async def test_is_found_while_streams_go_on() -> None:
    """Calls reach it, none fails, and a stream that was open stays where it is."""
    async with names(FIRST) as dns, GrpcServer(f"{FIRST}:0", services=["a"]) as old:
        await old.set_serving(serving=True)
        async with (
            GrpcServer(f"{SECOND}:{old.port}", services=["a"]) as new,
            open_channel(f"dns://127.0.0.1:{dns.port}/a.test:{old.port}") as channel,
        ):
            stub = health_pb2_grpc.HealthStub(channel)
            watch = stub.Watch(ASK)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            dns.addresses.append(SECOND)
            # the new one is told apart by what it says of itself
            await new.set_serving(serving=False)
            async with asyncio.timeout(20):
                while (await stub.Check(ASK, timeout=5)).status == health_pb2.HealthCheckResponse.SERVING:
                    pass
            await old.set_serving(serving=False)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            watch.cancel()
