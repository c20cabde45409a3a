"""Turns at an engine."""

import asyncio

import pytest

from translation_svc.turns import Turns, Urgency


async def _take(turns: Turns, name: str, urgency: Urgency, log: list[str]) -> None:
    async with turns.turn(urgency):
        log.append(name)
        await asyncio.sleep(0)


async def test_finals_go_before_partials_and_each_kind_in_order() -> None:
    """Who waits gets the engine by urgency, then by arrival."""
    turns = Turns()
    log: list[str] = []
    async with asyncio.TaskGroup() as group, turns.turn(Urgency.FINAL):
        for name, urgency in (
            ("p1", Urgency.PARTIAL),
            ("f1", Urgency.FINAL),
            ("p2", Urgency.PARTIAL),
            ("f2", Urgency.FINAL),
        ):
            group.create_task(_take(turns, name, urgency, log))
        await asyncio.sleep(0)
        assert log == []
    assert log == ["f1", "f2", "p1", "p2"]


async def test_a_cancelled_waiter_is_skipped() -> None:
    """Giving up while waiting leaves the others their turns."""
    turns = Turns()
    log: list[str] = []
    async with turns.turn(Urgency.FINAL):
        gone = asyncio.create_task(_take(turns, "gone", Urgency.FINAL, log))
        stays = asyncio.create_task(_take(turns, "stays", Urgency.FINAL, log))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
    await stays
    assert log == ["stays"]


async def test_a_turn_given_to_a_cancelled_waiter_goes_on() -> None:
    """A cancellation that meets the turn itself hands the engine on, and it is free in the end."""
    turns = Turns()
    log: list[str] = []
    async with turns.turn(Urgency.FINAL):
        gone = asyncio.create_task(_take(turns, "gone", Urgency.FINAL, log))
        stays = asyncio.create_task(_take(turns, "stays", Urgency.PARTIAL, log))
        await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await stays
    async with asyncio.timeout(1), turns.turn(Urgency.PARTIAL):
        log.append("free")
    assert log == ["stays", "free"]


async def test_as_many_as_there_are_places_hold_it_at_once() -> None:
    """The next one waits until one of them has left."""
    turns = Turns(2)
    log: list[str] = []
    async with asyncio.TaskGroup() as group, turns.turn(Urgency.FINAL):
        async with turns.turn(Urgency.PARTIAL):
            group.create_task(_take(turns, "third", Urgency.FINAL, log))
            await asyncio.sleep(0)
            assert (log, turns.load) == ([], 3)
        await asyncio.sleep(0)
        assert log == ["third"]
    assert turns.load == 0
