"""The body that does not spin."""

import asyncio
import threading

import pytest

from transcription_svc.engines.amazon import client
from transcription_svc.engines.amazon.client import MAX_QUEUED_BYTES, Rest, RestingBody
from transcription_svc.engines.amazon.faults import BrokenConnection

LONG = Rest(nap_s=30.0, streams=1)


async def test_an_empty_body_rests_and_then_says_so() -> None:
    """Without data it waits its share of the rest, then blocks as non-blocking streams do."""
    assert Rest(nap_s=0.005, streams=5).share_s == pytest.approx(0.001)
    assert Rest(nap_s=0.005).share_s == 0.005
    with pytest.raises(BlockingIOError):
        RestingBody(Rest(nap_s=0.0)).read(10)


@pytest.mark.parametrize("what", ["write", "end", "close"])
async def test_a_resting_reader_is_woken(what: str) -> None:
    """Data, the end and closing are not waited for to the end of the rest."""
    body = RestingBody(LONG)
    reading = asyncio.create_task(asyncio.to_thread(body.read, 10))
    await asyncio.sleep(0)
    if what == "write":
        body.write(b"audio")
    elif what == "end":
        body.end_stream()
    else:
        body.close()
    async with asyncio.timeout(10):
        assert await reading == (b"audio" if what == "write" else b"")


async def test_all_that_was_written_is_read_before_the_end() -> None:
    """Pieces are read in order, in parts where they do not fit, and then the end, without a rest."""
    body = RestingBody(LONG)
    for piece in (b"abcdef", b"ghi"):
        body.write(piece)
    assert body.read(4) == b"abcd"
    body.end_stream()
    assert [body.read(4) for _ in range(4)] == [b"ef", b"ghi", b"", b""]


async def test_writers_wait_for_room() -> None:
    """More than the limit waits until the reader has made room."""
    body = RestingBody(LONG)
    await body.room()
    body.write(bytes(MAX_QUEUED_BYTES + 1))
    waiting = asyncio.create_task(body.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    reader = threading.Thread(target=body.read, args=(2,))
    reader.start()
    async with asyncio.timeout(10):
        await waiting
    reader.join()


async def test_a_reader_that_never_reads_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that takes no audio is broken."""
    monkeypatch.setattr(client, "STUCK_S", 0.01)
    body = RestingBody(LONG)
    body.write(bytes(MAX_QUEUED_BYTES + 1))
    with pytest.raises(BrokenConnection):
        await body.room()
