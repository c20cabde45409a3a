"""Calls on a service, and how long its answers took.

A closed loop asks again as soon as it is answered, so a slow service is asked less. An open loop asks when it
is time to, whatever became of the calls before, and counts each answer from the moment at which its call was
due: otherwise a pause of the service would hide the calls that it held up ("coordinated omission").
"""

import asyncio
import math
import os
import platform
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Call: TypeAlias = Callable[[], Awaitable[None]]

MS_PER_S = 1000


@dataclass(slots=True)
class Outcome:
    """Latencies in ms of calls that were answered, the failures of the others, and how long it all took."""

    latencies_ms: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    took_s: float = 0.0

    def percentile(self, share: float) -> float:
        """Nearest rank, ms; NaN when nothing was answered."""
        return percentile(self.latencies_ms, share)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies_ms) / self.took_s if self.took_s else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; NaN when there are none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


async def closed_loop(call: Call, *, callers: int, seconds: float) -> Outcome:
    """`callers` tasks, each of which calls again at once."""
    outcome = Outcome()
    started = time.perf_counter()

    async def caller() -> None:
        while (now := time.perf_counter()) - started < seconds:
            await _counted(call, due=now, outcome=outcome)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    outcome.took_s = time.perf_counter() - started
    return outcome


async def bursts(call: Call, *, callers: int, every_s: float, seconds: float) -> Outcome:
    """`callers` calls at the same moment, every `every_s`; the next burst waits for the last answer."""
    outcome = Outcome()
    started = time.perf_counter()
    due = started
    while due - started < seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        now = time.perf_counter()
        await asyncio.gather(*(_counted(call, due=now, outcome=outcome) for _ in range(callers)))
        due = max(due + every_s, time.perf_counter())
    outcome.took_s = time.perf_counter() - started
    return outcome


async def open_loop(
    call: Call, *, rate: float, seconds: float, at_most: int, chance: random.Random
) -> Outcome:
    """Calls at random moments (Poisson), `rate` a second on average; at most `at_most` are under way.

    A call that is due while as many are under way waits for its turn, and its wait counts.
    """
    outcome = Outcome()
    turns = asyncio.Semaphore(at_most)
    started = time.perf_counter()

    async def one(due: float) -> None:
        try:
            await _counted(call, due=due, outcome=outcome)
        finally:
            turns.release()

    async with asyncio.TaskGroup() as group:
        for offset_s in arrivals(rate=rate, seconds=seconds, chance=chance):
            due = started + offset_s
            if (wait_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            await turns.acquire()
            group.create_task(one(due))
    outcome.took_s = time.perf_counter() - started
    return outcome


def arrivals(*, rate: float, seconds: float, chance: random.Random) -> Iterator[float]:
    """Moments of independent arrivals, s from the start."""
    at_s = chance.expovariate(rate)
    while at_s < seconds:
        yield at_s
        at_s += chance.expovariate(rate)


def machine() -> str:
    """What was measured on, in a line."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return f"{cores} cores, Python {platform.python_version()}, load average before {load:.1f}"


async def _counted(call: Call, *, due: float, outcome: Outcome) -> None:
    try:
        await call()
    except Exception as error:  # what fails is part of the outcome
        name = type(error).__name__
        outcome.failures[name] = outcome.failures.get(name, 0) + 1
    else:
        outcome.latencies_ms.append((time.perf_counter() - due) * MS_PER_S)
