"""The parent of several gateway processes, without the processes."""

import asyncio
import errno
import os
import socket

import pytest

from babelcast.backoff import Backoff
from gateway.config import GatewayConfig
from gateway.workers import Workers


class Ending:
    """A process that ends when it is waited for, and has everything end."""

    pid = 1
    stdout = None

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def wait(self) -> int:
        """End."""
        self._workers._stopping.set()
        return 0


async def test_one_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be memory for it a moment later; its place is not given up."""
    with socket.socket() as address:
        address.bind(("127.0.0.1", 0))
        workers = Workers(GatewayConfig(gateway_workers=2), {}, address)
        place = workers._places[0]
        place.ready.set_result(None)
        tried = 0

        async def start(*_: object, **__: object) -> Ending:
            nonlocal tried
            tried += 1
            if tried < 3:
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            return Ending(workers)

        monkeypatch.setattr("gateway.workers.BACKOFF", Backoff(retries=9, base_s=0.001, cap_s=0.001))
        monkeypatch.setattr("gateway.workers.asyncio.create_subprocess_exec", start)
        async with asyncio.timeout(10):
            await workers._keep(place)
        assert (tried, place.code) == (3, 0)


@pytest.mark.parametrize(
    ("attributes", "called"),
    [
        ("service.namespace=x, service.instance.id=gateway-7", "gateway-7-worker-1"),
        ("service.namespace=x", f"{socket.gethostname()}-worker-1"),
        ("", f"{socket.gethostname()}-worker-1"),
    ],
)
async def test_workers_of_two_machines_have_names_of_their_own(attributes: str, called: str) -> None:
    """Behind a collector the series of two that are called alike would be one."""
    with socket.socket() as address:
        address.bind(("127.0.0.1", 0))
        workers = Workers(GatewayConfig(), {"OTEL_RESOURCE_ATTRIBUTES": attributes}, address)
        settings = workers._settings(workers._places[0])
    assert settings["OTEL_RESOURCE_ATTRIBUTES"].endswith(f"service.instance.id={called}")
