"""How many streams one core holds: more and more at once, until their results come late.

Runs in a process of its own that is bound to one core, service and speakers together, so that the other cores
cannot help.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from bench.measures import Delay, Summary, growth_s
from bench.quality.display import Shown
from bench.quality.figures import Held
from bench.quality.recordings import Recording
from bench.quality.streaming import served, speak
from bench.quality.talks import joined

_PAUSE_S = 0.5


def hold_on_one_core(recordings: Sequence[Recording], *, seconds: float, most: int) -> list[Held]:
    """1, 2, … streams of `seconds` each, up to the first number that is too many, at most `most`."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(_hold, list(recordings), seconds, most).result()


def _hold(recordings: list[Recording], seconds: float, most: int) -> list[Held]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before any thread is started
    return asyncio.run(_more_and_more(recordings, seconds, most))


async def _more_and_more(recordings: Sequence[Recording], seconds: float, most: int) -> list[Held]:
    found: list[Held] = []
    async with served(max_streams=most, workers=1) as station:
        while len(found) < most and (not found or found[-1].in_time):
            streams = len(found) + 1
            talks = [
                joined(
                    f"stream {number}",
                    [*recordings[number % len(recordings) :], *recordings[: number % len(recordings)]],
                    language=recordings[0].language,
                    pause_s=_PAUSE_S,
                    seconds=seconds,
                )
                for number in range(streams)
            ]
            outcomes = await asyncio.gather(*(speak(station, talk) for talk in talks))
            found.append(_judged(streams, outcomes))
    return found


def _judged(streams: int, outcomes: Sequence[Sequence[Shown]]) -> Held:
    delays = [
        Delay(result.end_s, result.at_s - result.end_s)
        for results in outcomes
        for result in results
        if result.is_final
    ]
    return Held(streams, Summary.of(delay.delay_s for delay in delays), growth_s(delays))
