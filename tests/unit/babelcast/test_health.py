"""What a container's health check says of servers."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from babelcast import health
from babelcast.rpc.server import GrpcServer


@asynccontextmanager
async def page(status: int) -> AsyncIterator[str]:
    """The address of a page with this status."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/readyz", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/readyz"
    finally:
        await runner.cleanup()


async def test_a_page_is_well_when_it_answers() -> None:
    """With anything but an error."""
    async with page(200) as good, page(503) as bad:
        assert await health.check_all([good]) == []
        assert await health.check_all([good, bad]) == [f"{bad}: 503"]


async def test_a_service_is_well_when_it_serves() -> None:
    """By grpc.health.v1; one that only listens, and one that drains, are not."""
    async with GrpcServer("127.0.0.1:0", services=[]) as server:
        address = f"grpc://127.0.0.1:{server.port}"
        assert await health.check_all([address]) == [f"{address}: NOT_SERVING"]
        await server.set_serving(serving=True)
        assert await health.check_all([address, f"tcp://127.0.0.1:{server.port}"]) == []
    assert await health.check_all([address]) == [f"{address}: UNAVAILABLE"]


async def test_it_waits_for_who_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it is told, and no longer than it must."""
    monkeypatch.setattr(health, "PAUSE_S", 0.01)
    async with GrpcServer("127.0.0.1:0", services=[]) as server:
        waiting = asyncio.create_task(
            health.check_all([f"grpc://127.0.0.1:{server.port}"], wait_s=60), name="wait"
        )
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        await server.set_serving(serving=True)
        assert await waiting == []


async def test_who_is_silent_is_unwell() -> None:
    """After a while."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(health.Unwell, match=r"no answer in time|timed out"):
            await health.check(f"http://127.0.0.1:{port}/", timeout_s=0.2)


@pytest.mark.parametrize("address", ["127.0.0.1:80", "ftp://127.0.0.1:21", "http://127.0.0.1"])
def test_what_is_no_address_is_told(address: str) -> None:
    """With the usage, and exit code 2, which a check that fails has not."""
    done = subprocess.run(
        [sys.executable, "-m", "babelcast.health", address], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert address in done.stderr


def test_the_exit_code_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    """One, and a line of what is wrong."""
    assert health.main(["tcp://127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.startswith("tcp://127.0.0.1:1: ")


def test_a_page_is_asked_without_grpc() -> None:
    """It is asked every few seconds, and gRPC takes longer to import than all the rest."""
    script = "import sys, babelcast.health; sys.exit('grpc' in sys.modules or 'cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
