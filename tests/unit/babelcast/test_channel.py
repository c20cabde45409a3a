"""The one queue between tasks."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.channel import Channel, ChannelClosed


async def rest(channel: Channel[int]) -> list[int]:
    """All that is left until the end."""
    return [item async for item in channel]


async def test_items_come_in_order() -> None:
    """First in, first out; after the close the receiver still gets what is queued."""
    channel: Channel[int] = Channel(3)
    for item in range(3):
        await channel.send(item)
    channel.close()
    channel.close()
    assert channel.closed
    assert await rest(channel) == [0, 1, 2]
    with pytest.raises(ChannelClosed):
        await channel.receive()


async def test_send_waits_for_room() -> None:
    """A sender that waits goes on as soon as an item is taken."""
    channel: Channel[int] = Channel(1)
    await channel.send(1)
    sending = asyncio.create_task(channel.send(2))
    await asyncio.sleep(0)
    assert not sending.done()
    assert await channel.receive() == 1
    await sending
    assert await channel.receive() == 2


async def test_receive_waits_for_an_item() -> None:
    """A receiver that waits gets what is sent then."""
    channel: Channel[int] = Channel(1)
    receiving = asyncio.create_task(channel.receive())
    await asyncio.sleep(0)
    assert not receiving.done()
    await channel.send(7)
    assert await receiving == 7


async def test_receive_nowait_takes_what_is_there() -> None:
    """And makes room for a sender that waits; an empty channel has nothing, closed or not."""
    channel: Channel[int] = Channel(1)
    assert channel.receive_nowait() is None
    await channel.send(1)
    sending = asyncio.create_task(channel.send(2))
    await asyncio.sleep(0)
    assert channel.receive_nowait() == 1
    await sending
    channel.close()
    assert channel.receive_nowait() == 2
    assert channel.receive_nowait() is None


async def test_close_wakes_everybody() -> None:
    """Waiting senders and receivers learn of the end."""
    full: Channel[int] = Channel(1)
    await full.send(1)
    empty: Channel[int] = Channel(1)
    sending, receiving = asyncio.create_task(full.send(2)), asyncio.create_task(empty.receive())
    await asyncio.sleep(0)
    full.close()
    empty.close()
    for task in (sending, receiving):
        with pytest.raises(ChannelClosed):
            await task
    assert await rest(full) == [1]


@pytest.mark.parametrize("capacity", [0, -1])
def test_holds_at_least_one(capacity: int) -> None:
    """A queue without room is a mistake."""
    with pytest.raises(ValueError, match="at least one"):
        Channel(capacity)


async def test_a_closed_channel_takes_nothing() -> None:
    """Neither way of sending works after the end, and nothing counts as dropped."""
    channel: Channel[int] = Channel(1)
    channel.close()
    with pytest.raises(ChannelClosed):
        await channel.send(1)
    with pytest.raises(ChannelClosed):
        channel.send_dropping_oldest(1)
    assert channel.dropped == 0


@given(capacity=st.integers(1, 5), items=st.lists(st.integers(), max_size=20))
def test_dropping_keeps_the_newest(capacity: int, items: list[int]) -> None:
    """What is left are the newest, in order; what went is returned once each, and counted."""

    async def scenario() -> None:
        channel: Channel[int] = Channel(capacity)
        gone = [channel.send_dropping_oldest(item) for item in items]
        assert len(channel) == min(capacity, len(items))
        assert channel.dropped == max(0, len(items) - capacity)
        assert [item for item in gone if item is not None] == items[: channel.dropped]
        channel.close()
        assert await rest(channel) == items[channel.dropped :]

    asyncio.run(scenario())


async def test_clear_makes_room() -> None:
    """What is forgotten does not count as dropped, and a waiting sender goes on."""
    channel: Channel[int] = Channel(1)
    await channel.send(1)
    sending = asyncio.create_task(channel.send(2))
    await asyncio.sleep(0)
    channel.clear()
    await sending
    assert channel.dropped == 0
    assert await channel.receive() == 2
