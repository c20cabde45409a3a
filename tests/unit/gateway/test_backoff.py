"""Waiting longer each time."""

import pytest

from gateway.backoff import FIRST_S, MOST_S, Backoff


async def test_waits_double_up_to_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """None at first, then between half and all of what doubles; after a reset from the start."""
    waits: list[float] = []

    async def sleep(delay: float) -> None:
        waits.append(delay)

    monkeypatch.setattr("gateway.backoff.asyncio.sleep", sleep)
    pause = Backoff()
    for _ in range(9):
        await pause.wait()
    assert waits[0] == 0
    for index, wait in enumerate(waits[1:]):
        full = min(FIRST_S * 2**index, MOST_S)
        assert full / 2 <= wait <= full
    pause.reset()
    await pause.wait()
    assert waits[-1] == 0
