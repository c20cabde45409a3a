"""Recorded sound at the pace of speech."""

from hypothesis import given
from hypothesis import strategies as st

from babelcast.client import pace
from babelcast.wav import Sound


@given(st.binary(max_size=20_000).filter(lambda pcm: len(pcm) % 2 == 0))
def test_chunks_are_the_sound_filled_up_with_silence(pcm: bytes) -> None:
    """All chunks have one size; together they are the sound and less than a chunk of zeros."""
    pieces = pace.chunks(Sound(pcm, 16_000))
    joined = b"".join(pieces)
    assert {len(piece) for piece in pieces} <= {3_200}
    assert joined[: len(pcm)] == pcm
    assert not any(joined[len(pcm) :])
    assert len(joined) - len(pcm) < 3_200


async def test_each_chunk_comes_when_its_last_sample_was_spoken() -> None:
    """The n-th chunk comes n times 100 ms after the start; what is late comes at once."""
    now_s = 100.0
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        slept.append(round(seconds, 6))
        now_s += seconds

    def clock() -> float:
        return now_s

    moments: list[float] = []
    async for _ in pace.paced([b"a", b"b", b"c", b"d"], clock=clock, sleep=sleep):
        moments.append(round(now_s - 100.0, 6))
        if len(moments) == 2:
            now_s += 0.15  # the taker was busy
    assert moments == [0.1, 0.2, 0.35, 0.4]
    assert slept == [0.1, 0.1, 0.0, 0.05]
