"""A topic as a gateway follows it."""

import time

import pytest

from babelcast.bus.base import Topic
from babelcast.bus.config import BusConfig
from babelcast.bus.nats.follower import Follower
from babelcast.bus.nats.link import Connection, Link
from babelcast.errors import ServiceUnavailable


async def nothing(_: Connection) -> None:
    """Prepare no connection."""


async def test_a_history_without_its_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes a talk over would make again what it does not see, so it is told to come again."""
    monkeypatch.setattr("babelcast.bus.nats.follower.HISTORY_S", 0.01)
    link = Link(BusConfig(bus_url="nats://127.0.0.1:1"), prepare=nothing, clock=time.monotonic)
    follower = Follower(
        Topic("calm-lake-1", "es"), link, retention_s=60, clock=time.monotonic, wall_clock=time.time
    )
    follower._complete = True
    assert await follower.history(0, published=0) == []
    with pytest.raises(ServiceUnavailable):
        await follower.history(0, published=1)
    await follower.aclose()
