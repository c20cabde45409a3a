"""Keeping a lease."""

import asyncio
from collections.abc import Iterator

import pytest

from babelcast.errors import BabelcastError, ServiceUnavailable
from babelcast.session.v1 import session_pb2 as api
from gateway import lease
from gateway.lease import keep_lease
from gateway.sessions import Sessions


class Record(Sessions):
    """Answers renewals from a script, and knows under which lease each was asked for."""

    def __init__(self, *answers: api.RenewLeaseResponse | BabelcastError) -> None:
        self._answers: Iterator[api.RenewLeaseResponse | BabelcastError] = iter(answers)
        self.lives: list[str] = []
        self.begin_lease()

    async def renew_lease(self) -> api.RenewLeaseResponse:
        """The next answer; at the end of the script, the end of the gateway."""
        self.lives.append(self._gateway_id)
        answer = next(self._answers, None)
        if answer is None:
            raise asyncio.CancelledError
        if isinstance(answer, BabelcastError):
            raise answer
        return answer


HELD = api.RenewLeaseResponse(held=True, lease_ms=30_000)
LOST = api.RenewLeaseResponse(held=False, lease_ms=30_000)


class Waits(list[float]):
    """The waits, s, none of which takes time."""

    async def sleep(self, seconds: float) -> None:
        """Note it."""
        self.append(seconds)


async def test_a_lease_is_renewed_in_time() -> None:
    """Three times in its length, and soon again when the service was not reached."""
    waits = Waits()
    record = Record(HELD, ServiceUnavailable("away"), HELD)
    lost: list[int] = []
    with pytest.raises(asyncio.CancelledError):
        await keep_lease(record, on_lost=lambda: lost.append(1), sleep=waits.sleep)
    assert waits == [10.0, lease.RETRY_S, 10.0]
    assert len(set(record.lives)) == 1
    assert not lost


async def test_a_lease_that_was_lost() -> None:
    """All connections are sent away once, and a new lease is taken at once."""
    waits = Waits()
    record = Record(HELD, LOST, HELD)
    lost: list[str] = []
    with pytest.raises(asyncio.CancelledError):
        await keep_lease(record, on_lost=lambda: lost.append(record._gateway_id), sleep=waits.sleep)
    assert waits == [10.0, 10.0]
    assert record.lives[0] == record.lives[1] != record.lives[2] == record.lives[3]
    assert lost == [record.lives[2]]
