"""Health across real gRPC: watches follow the status and do not hold up a server that drains."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.rpc.client import open_channel
from babelcast.rpc.health import Health
from babelcast.rpc.server import GrpcServer

SERVICE = "test.Service"
STATUS = health_pb2.HealthCheckResponse


async def test_an_open_watch_does_not_hold_up_the_end() -> None:
    """A watch sees SERVING, NOT_SERVING, then its end; the server stops without waiting for its grace."""
    server = GrpcServer("127.0.0.1:0", services=[SERVICE])
    port = await server.start()
    await server.set_serving(serving=True)
    async with open_channel(f"127.0.0.1:{port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await watch.read()).status == STATUS.SERVING
        async with asyncio.timeout(10):
            await server.stop(grace_s=60)
            assert (await watch.read()).status == STATUS.NOT_SERVING
            assert await watch.read() is grpc.aio.EOF


async def test_a_watch_follows_the_status() -> None:
    """Each change is told once; an unknown service is told as such, and refused to a check."""
    async with GrpcServer("127.0.0.1:0", services=[SERVICE]) as server:  # noqa: SIM117 - the port comes with it
        async with open_channel(f"127.0.0.1:{server.port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
            assert (await watch.read()).status == STATUS.NOT_SERVING
            await server.set_serving(serving=False)
            await server.set_serving(serving=True)
            assert (await watch.read()).status == STATUS.SERVING
            unknown = stub.Watch(health_pb2.HealthCheckRequest(service="other"))
            assert (await unknown.read()).status == STATUS.SERVICE_UNKNOWN
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Check(health_pb2.HealthCheckRequest(service="other"))
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_server_that_drains_stays_so() -> None:
    """Nothing says SERVING after the end has begun."""
    health = Health()
    health.set(SERVICE, serving=True)
    health.drain()
    health.set(SERVICE, serving=True)
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE))
        watched = [each.status async for each in stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE))]
    await server.stop(None)
    assert answer.status == STATUS.NOT_SERVING
    assert watched == [STATUS.NOT_SERVING]
