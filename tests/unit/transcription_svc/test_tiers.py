"""Which engine serves which tier."""

import asyncio
import threading

from babelcast.errors import ServiceUnavailable
from transcription_svc.engines.base import Capabilities, Recognition, StreamOptions
from transcription_svc.tiers import Engine, Tiers


class NamedTranscriber:
    """An engine with nothing but a name and languages."""

    def __init__(self, name: str, *languages: str) -> None:
        self.capabilities = Capabilities(name=name, languages=languages)
        self.closed = False

    def open(self, options: StreamOptions) -> Recognition:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.closed = True


async def test_the_better_engine_is_loaded_once_and_only_when_asked_for() -> None:
    """Ten premium streams at once load it once; standard streams never do; all are freed."""
    loads = []
    standard, better = NamedTranscriber("base", "en", "es"), NamedTranscriber("small", "en")

    def load() -> Engine:
        loads.append(threading.current_thread())
        return Engine(better)

    tiers = Tiers(Engine(standard), premium=load)
    assert tiers.has_premium
    assert (await tiers.pick("standard", "en")).transcriber is standard
    assert loads == []
    picked = await asyncio.gather(*(tiers.pick("premium", "en") for _ in range(10)))
    assert all(engine.transcriber is better for engine in picked)
    assert len(loads) == 1
    assert loads[0] is not threading.main_thread()
    assert (await tiers.pick("premium", "es")).transcriber is standard
    await tiers.aclose()
    assert standard.closed
    assert better.closed


async def test_who_does_not_wait_for_the_load_does_not_spoil_it() -> None:
    """A stream that is given up while the better engine loads leaves it to the next one."""
    loads = []
    began, go_on = threading.Event(), threading.Event()
    better = NamedTranscriber("small", "en")

    def load() -> Engine:
        loads.append(1)
        began.set()
        assert go_on.wait(10)
        return Engine(better)

    tiers = Tiers(Engine(NamedTranscriber("base", "en")), premium=load)
    impatient = asyncio.create_task(tiers.pick("premium", "en"))
    assert await asyncio.to_thread(began.wait, 10)
    impatient.cancel()
    await asyncio.wait([impatient])
    assert tiers.has_premium
    go_on.set()
    assert (await tiers.pick("premium", "en")).transcriber is better
    assert len(loads) == 1
    await tiers.aclose()
    assert better.closed


async def test_a_better_engine_that_does_not_load_is_done_without() -> None:
    """The standard engine serves premium streams when the better one is damaged or not there."""
    tries = []

    def load() -> Engine:
        tries.append(1)
        raise ServiceUnavailable("damaged")

    tiers = Tiers(Engine(NamedTranscriber("base", "en")), premium=load)
    for _ in range(2):
        assert (await tiers.pick("premium", "en")).transcriber.capabilities.name == "base"
    assert len(tries) == 1
    assert not tiers.has_premium
    await tiers.aclose()
    assert not Tiers(Engine(NamedTranscriber("base", "en"))).has_premium
