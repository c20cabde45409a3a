"""A process that serves until it is told to stop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator, Mapping

import pytest

from babelcast import process
from babelcast.config import ConfigError
from babelcast.errors import ServiceUnavailable
from tests.nats_server import free_port


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The root logger's handlers and level, after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


class Service:
    """Notes that it was drained; `signals` are sent as soon as it has started."""

    def __init__(self, *signals: signal.Signals) -> None:
        self.closed = 0
        for number in signals:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_well(number: signal.Signals) -> None:
    """The service is started with the environment, and closed once."""
    started: list[Service] = []

    async def start(environ: Mapping[str, str]) -> Service:
        assert environ is os.environ
        started.append(Service(number))
        return started[0]

    assert process.run(start, name="test") == 0
    assert started[0].closed == 1


def test_a_setting_that_is_wrong_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What begins before it is read ends again."""

    async def start(_: Mapping[str, str]) -> Service:
        pytest.fail("it was started")

    port = free_port()
    monkeypatch.setenv("METRICS_BIND", f"127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "some")
    assert process.run(start, name="test") == 1
    assert "OTEL_TRACES_SAMPLER" in capsys.readouterr().err
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_second_signal_changes_nothing() -> None:
    """Draining goes on; the exit code stays good."""
    started: list[Service] = []

    async def start(_: Mapping[str, str]) -> Service:
        started.append(Service(signal.SIGTERM, signal.SIGTERM, signal.SIGINT))
        return started[0]

    assert process.run(start, name="test") == 0
    assert started[0].closed == 1


def test_a_second_signal_hurries_what_can_be_hurried() -> None:
    """A drain that waits for others ends at once then; a signal that came first is not the second."""

    class Patient:
        def __init__(self) -> None:
            self.hurried = asyncio.Event()

        def hurry(self) -> None:
            self.hurried.set()

        async def aclose(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(5):
                await self.hurried.wait()

    async def start(_: Mapping[str, str]) -> Patient:
        os.kill(os.getpid(), signal.SIGTERM)
        return Patient()

    assert process.run(start, name="test") == 0


def test_a_signal_while_starting() -> None:
    """What was started is drained at once."""
    started: list[Service] = []

    async def start(_: Mapping[str, str]) -> Service:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        started.append(Service())
        return started[0]

    assert process.run(start, name="test") == 0
    assert started[0].closed == 1


@pytest.mark.parametrize("error", [ConfigError("PORT: too big"), ServiceUnavailable("Port in use.")])
def test_what_cannot_start_says_why(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, no trace, and exit code 1."""

    async def start(_: Mapping[str, str]) -> Service:
        raise error

    assert process.run(start, name="gateway") == 1
    assert capsys.readouterr().err == f"gateway: {error}\n"


def test_a_wrong_log_level(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Is such a reason too; an empty one is the default."""

    async def start(_: Mapping[str, str]) -> Service:
        return Service(signal.SIGTERM)

    monkeypatch.setenv("LOG_LEVEL", "loud")
    assert process.run(start, name="gateway") == 1
    assert "LOG_LEVEL" in capsys.readouterr().err
    monkeypatch.setenv("LOG_LEVEL", "")
    assert process.run(start, name="gateway") == 0
