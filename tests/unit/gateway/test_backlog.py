"""Live audio that waits: bounded in seconds, oldest first out."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.channel import ChannelClosed
from babelcast.pcm import silence
from gateway.backlog import Arrived, Backlog


def audio(ms: int, at_ms: int = 0) -> Arrived:
    """So much audio."""
    return Arrived(silence(ms), at_ms)


async def received(backlog: Backlog) -> list[int]:
    """When what waits came."""
    out = []
    while backlog.waiting_ms:
        out.append((await backlog.receive()).at_ms)
    return out


@given(st.lists(st.integers(1, 900), max_size=60), st.integers(1, 3_000))
def test_the_newest_audio_stays_and_the_rest_is_counted(lengths: list[int], limit_ms: int) -> None:
    """Above the limit the oldest go, no more than needed, and the newest piece never."""
    backlog = Backlog(limit_ms=limit_ms)
    lost_ms = sum(backlog.put(audio(length, index)) for index, length in enumerate(lengths))
    kept = asyncio.run(received(backlog))
    assert kept == list(range(len(lengths)))[len(lengths) - len(kept) :]
    assert lost_ms == sum(lengths[: len(lengths) - len(kept)])
    assert sum(lengths[index] for index in kept) <= max(limit_ms, lengths[-1] if lengths else 0)


async def test_a_lower_limit_counts_from_the_next_piece_on() -> None:
    """What waited with leave goes only when more comes."""
    backlog = Backlog(limit_ms=1_000)
    for at_ms in range(5):
        assert backlog.put(audio(200, at_ms)) == 0
    backlog.limit_ms = 500
    assert backlog.waiting_ms == 1_000
    assert backlog.put(audio(200, 5)) == 800
    assert await received(backlog) == [4, 5]


async def test_the_receiver_waits_and_hears_of_the_end() -> None:
    """What waits at the end is still received, then the channel is closed."""
    backlog = Backlog(limit_ms=1_000)
    waiting = asyncio.create_task(backlog.receive())
    await asyncio.sleep(0)
    assert not waiting.done()
    backlog.put(audio(100, 1))
    assert (await waiting).at_ms == 1
    backlog.put(audio(100, 2))
    backlog.close()
    backlog.close()
    assert backlog.closed
    assert await backlog.ready()
    assert (await backlog.receive()).at_ms == 2
    assert not await backlog.ready()
    with pytest.raises(ChannelClosed):
        await backlog.receive()
    with pytest.raises(ChannelClosed):
        backlog.put(audio(100))
