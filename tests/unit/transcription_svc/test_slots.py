"""Fair places at the workers."""

import asyncio

import pytest

from transcription_svc.slots import FairSlots, Urgency


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


class Users:
    """Tasks that take a slot and note their turn."""

    def __init__(self, slots: FairSlots) -> None:
        self.slots = slots
        self.turns: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def enter(self, key: str, urgency: Urgency) -> asyncio.Task[None]:
        """Queue `key` up."""

        async def use() -> None:
            async with self.slots.slot(key, urgency):
                self.turns.append(key)

        task = asyncio.create_task(use())
        self.tasks.append(task)
        await settle()
        return task


async def test_finals_overtake_partials_and_turns_alternate() -> None:
    """The most urgent goes first, then whoever was served least recently."""
    slots = FairSlots(1)
    users = Users(slots)
    async with slots.slot("a", Urgency.FINAL):
        await users.enter("a", Urgency.PARTIAL)
        await users.enter("b", Urgency.PARTIAL)
        await users.enter("c", Urgency.FINAL)
    await asyncio.gather(*users.tasks)
    assert users.turns == ["c", "b", "a"]


async def test_promotion_moves_forward() -> None:
    """A partial that has become a final overtakes; promoting who does not wait does nothing."""
    slots = FairSlots(1)
    users = Users(slots)
    async with slots.slot("x", Urgency.FINAL):
        await users.enter("a", Urgency.PARTIAL)
        await users.enter("b", Urgency.PARTIAL)
        slots.promote("b", Urgency.FINAL)
        slots.promote("nobody", Urgency.FINAL)
    await asyncio.gather(*users.tasks)
    assert users.turns == ["b", "a"]


async def test_cancelling_loses_no_slot() -> None:
    """Cancelled while waiting, or just when granted, a key gives its place on."""
    slots = FairSlots(1)
    users = Users(slots)
    async with slots.slot("x", Urgency.FINAL):
        waiting = await users.enter("a", Urgency.PARTIAL)
        granted = await users.enter("b", Urgency.FINAL)
        waiting.cancel()
        await settle()
    granted.cancel()
    async with asyncio.timeout(1), slots.slot("c", Urgency.PARTIAL):
        pass
    assert users.turns == []


async def test_a_key_waits_once() -> None:
    """Waiting twice for one stream would be a fault; no slots at all as well."""
    slots = FairSlots(1)
    users = Users(slots)
    async with slots.slot("x", Urgency.FINAL):
        await users.enter("a", Urgency.PARTIAL)
        with pytest.raises(RuntimeError):
            async with slots.slot("a", Urgency.PARTIAL):
                pass
    await asyncio.gather(*users.tasks)
    slots.forget("a")
    with pytest.raises(ValueError, match="at least one"):
        FairSlots(0)
