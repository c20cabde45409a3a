"""Recorded sound at the pace of speech, as a microphone would give it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from babelcast.pcm import BYTES_PER_SAMPLE
from babelcast.wav import Sound

CHUNK_S = 0.1


def chunks(sound: Sound, *, chunk_s: float = CHUNK_S) -> list[bytes]:
    """The sound in pieces of `chunk_s` seconds; the last one is filled up with silence."""
    size = BYTES_PER_SAMPLE * round(sound.sample_rate_hz * chunk_s)
    pieces = [sound.pcm[start : start + size] for start in range(0, len(sound.pcm), size)]
    if pieces:
        pieces[-1] = pieces[-1].ljust(size, b"\0")
    return pieces


async def paced(
    pieces: Sequence[bytes],
    *,
    chunk_s: float = CHUNK_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[bytes, None]:
    """Each piece at the moment when its last sample would have been spoken; late ones follow at once."""
    started_s = clock()
    for number, piece in enumerate(pieces, start=1):
        await sleep(max(0.0, started_s + number * chunk_s - clock()))
        yield piece
