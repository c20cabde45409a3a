"""Several gateway processes on one port, as real processes over a real NATS server."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from babelcast.config import ConfigError
from babelcast.errors import ServiceUnavailable
from gateway.workers import Workers
from tests.integration.gateway.test_bus_setting import becomes, readiness
from tests.nats_server import NatsServer, free_port

PATIENCE_S = 30.0


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """Of the parent; its workers get it too."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PORT": "0",
        "DATA_DIR": str(tmp_path / "data"),
        "GATEWAY_WORKERS": "2",
        "DRAIN_LINGER_SECONDS": "0.5",
        **more,
    }


@pytest.fixture
async def workers(mortal_nats: NatsServer, tmp_path: Path) -> AsyncIterator[Workers]:
    """Two."""
    running = await Workers.start(environment(tmp_path, BUS_URL=mortal_nats.url))
    try:
        yield running
    finally:
        running.hurry()
        with contextlib.suppress(ServiceUnavailable):
            await running.aclose()


async def replaced(workers: Workers, pid: int) -> None:
    """Wait until a process has gone and another is in its place."""
    async with asyncio.timeout(PATIENCE_S):
        while pid in workers.pids or len(workers.pids) < 2:  # noqa: ASYNC110 - the kernel tells the parent
            await asyncio.sleep(0.02)


async def test_each_is_scraped_at_a_port_of_its_own(mortal_nats: NatsServer, tmp_path: Path) -> None:
    """The parent's address is the first, those of workers follow it, and each says which it is."""
    first = free_port()
    environ = environment(tmp_path, BUS_URL=mortal_nats.url, METRICS_BIND=f"127.0.0.1:{first}")
    running = await Workers.start(environ)
    try:
        for number in (1, 2):
            reader, writer = await asyncio.open_connection("127.0.0.1", first + number)
            writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
            page = (await reader.read()).decode()
            writer.close()
            assert f'service_instance_id="{socket.gethostname()}-worker-{number}"' in page
            assert "babelcast_gateway_sessions_created_total 0.0" in page
    finally:
        running.hurry()
        await running.aclose()


async def test_two_serve_one_port_and_end_in_order(workers: Workers) -> None:
    """Both answer there; told to stop, they end well, and the port is free."""
    assert len(set(workers.pids)) == 2
    assert os.getpid() not in workers.pids
    await becomes(workers.port, 200)
    async with asyncio.timeout(PATIENCE_S):
        await workers.aclose()
    assert workers.pids == []
    socket.create_server(("127.0.0.1", workers.port)).close()


async def test_one_that_is_killed_is_started_again(workers: Workers) -> None:
    """Meanwhile the other one gets all that comes."""
    killed, other = workers.pids
    os.kill(killed, signal.SIGKILL)
    await replaced(workers, killed)
    assert other in workers.pids
    await becomes(workers.port, 200)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent that soon takes a silent worker for hung."""
    monkeypatch.setattr("gateway.workers.HUNG_S", 8.0)


async def test_one_that_hangs_is_started_again(impatient: None, workers: Workers) -> None:
    """It is there and says nothing; the parent does not wait for it for ever."""
    hanging, _ = workers.pids
    os.kill(hanging, signal.SIGSTOP)
    await replaced(workers, hanging)
    await becomes(workers.port, 200)


async def test_one_that_stops_leaves_the_port_to_the_others(workers: Workers) -> None:
    """Told to stop by itself, it soon gets no newcomers, who find one that is ready; then it is replaced."""
    leaving, _ = workers.pids
    os.kill(leaving, signal.SIGTERM)
    await replaced(workers, leaving)
    assert {await asyncio.to_thread(readiness, workers.port) for _ in range(20)} == {200}


async def test_they_end_with_their_parent(mortal_nats: NatsServer, tmp_path: Path) -> None:
    """However that one ends: nobody would pass SIGTERM on or start them again."""
    port = free_port()
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "--workers", "2"),
        env=environment(tmp_path, BUS_URL=mortal_nats.url, PORT=str(port)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(OSError):
                    if await asyncio.to_thread(readiness, port) == 200:
                        break
                await asyncio.sleep(0.1)
            parent.kill()
            await parent.wait()
            while True:
                try:
                    await asyncio.to_thread(readiness, port)
                except OSError:
                    break
                await asyncio.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            parent.kill()


async def test_sigterm_ends_all_with_exit_code_0(mortal_nats: NatsServer, tmp_path: Path) -> None:
    """The parent passes it on and waits."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway"),
        env=environment(tmp_path, BUS_URL=mortal_nats.url),
        stderr=asyncio.subprocess.PIPE,
    )
    assert parent.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while b"gateway processes serve" not in await parent.stderr.readline():
            assert parent.returncode is None
        parent.send_signal(signal.SIGTERM)
        await parent.communicate()
    assert parent.returncode == 0


async def test_without_a_bus_there_is_one_at_most(tmp_path: Path) -> None:
    """Two would be two halves of the audience that know nothing of each other."""
    with pytest.raises(ConfigError, match="BUS_URL"):
        await Workers.start(environment(tmp_path))


async def test_a_port_in_use_is_not_shared_with_strangers(mortal_nats: NatsServer, tmp_path: Path) -> None:
    """Even with one that would share it."""
    with (
        socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken,
        pytest.raises(ServiceUnavailable, match="Cannot listen"),
    ):
        port = str(taken.getsockname()[1])
        await Workers.start(environment(tmp_path, BUS_URL=mortal_nats.url, PORT=port))


async def test_one_that_cannot_start_ends_all(mortal_nats: NatsServer, tmp_path: Path) -> None:
    """No endless attempts at what was wrong from the beginning."""
    environ = environment(tmp_path, BUS_URL=mortal_nats.url, PRICES_FILE=str(tmp_path / "none.toml"))
    with pytest.raises(ServiceUnavailable, match="does not start"):
        async with asyncio.timeout(PATIENCE_S):
            await Workers.start(environ)


async def test_an_exit_code_that_is_bad_shows(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that had to be killed is no orderly end."""
    os.kill(workers.pids[0], signal.SIGSTOP)
    monkeypatch.setattr("gateway.workers.STOP_S", 1.0)
    monkeypatch.setattr(workers, "_drain_s", 1)
    with pytest.raises(ServiceUnavailable, match="did not end in order"):
        await workers.aclose()
