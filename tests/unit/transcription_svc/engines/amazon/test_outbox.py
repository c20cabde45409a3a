"""Results on their way to the receiver."""

import asyncio

from transcription_svc.engines.amazon.outbox import Outbox
from transcription_svc.engines.base import SegmentResult


def result(segment: int, text: str, *, final: bool = False) -> SegmentResult:
    """A result."""
    return SegmentResult(segment, 0, text, "", final, 0.5, 0, 1)


async def test_finals_pass_and_the_newest_partial_waits() -> None:
    """A slow receiver misses partial results, never a final one."""
    box = Outbox(2)
    box.put([result(0, "a"), result(0, "a b"), result(0, "a b c", final=True), result(1, "d")])
    assert not box.full
    box.put([result(1, "d e"), result(1, "d e f", final=True), result(2, "g"), result(2, "g h")])
    assert box.full
    reading = aiter(box)
    assert [(await anext(reading)).text for _ in range(3)] == ["a b c", "d e f", "g h"]


async def test_closing_ends_after_the_finals() -> None:
    """Finals are still delivered, a partial result is not; a receiver that waits is woken."""
    box = Outbox(2)
    box.put([result(0, "a", final=True), result(1, "b")])
    box.close()
    box.close()
    assert [found.text async for found in box] == ["a"]
    empty = Outbox(1)
    waiting = asyncio.ensure_future(anext(aiter(empty), None))
    await asyncio.sleep(0)
    empty.close()
    assert await waiting is None
