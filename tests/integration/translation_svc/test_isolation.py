"""Real engines, stopped or killed while three languages flow: who does not use them notices nothing."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.failures import EngineFailure, EnginePoisoned, EngineTimedOut
from translation_svc.glossary import Glossary
from translation_svc.segments import Prosody
from translation_svc.translators.base import Pair
from translation_svc.turns import Urgency
from translation_svc.worker import WorkerProcess

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

CALL_S = 3.0
QUICK_S = 2.0
"""Less than the deadline of a call: nobody who takes so long has waited for an engine that hangs."""
SENTENCES = 12
HIT_AT = 4


@dataclass
class Flow:
    """One language, sentence by sentence: how long each took, s, and what failed."""

    source: str
    target: str
    text: str
    texts_s: list[float] = field(default_factory=list)
    voices_s: list[float] = field(default_factory=list)
    failed_texts: list[int] = field(default_factory=list)
    failed_voices: list[int] = field(default_factory=list)

    async def run(self, app: TranslationApp, hit: asyncio.Event, gone_on: asyncio.Barrier) -> None:
        """All sentences; before sentence HIT_AT wait for the others and for the blow."""
        for number in range(SENTENCES):
            if number == HIT_AT:
                await gone_on.wait()
                await hit.wait()
            began_s = time.monotonic()
            words = f"{self.text} {number}."
            try:
                words = await app.interpreter.translate(
                    words,
                    source=self.source,
                    target=self.target,
                    glossary=Glossary(),
                    urgency=Urgency.FINAL,
                )
            except EngineFailure:
                self.failed_texts.append(number)
                continue
            self.texts_s.append(time.monotonic() - began_s)
            began_s = time.monotonic()
            try:
                assert (await app.interpreter.speak(words, language=self.target, prosody=Prosody())).pcm
            except EngineFailure:
                self.failed_voices.append(number)
            else:
                self.voices_s.append(time.monotonic() - began_s)


def _flows() -> list[Flow]:
    """The model alone; the model and one pipeline; another pipeline alone."""
    return [
        Flow("en", "pt", "The old library is open today, chapter"),
        Flow("en", "es", "The old library is open today, chapter"),
        Flow("es", "ca", "La vieja biblioteca está abierta hoy, capítulo"),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[TranslationApp]:
    """The engines, with a short deadline and without the cache's help."""
    config = TranslationConfig(
        translation_bind="127.0.0.1:0",
        translation_call_timeout_seconds=CALL_S,
        translation_cache_ttl_seconds=1e-9,
    )
    app = TranslationApp(config)
    await app.start()
    for flow in _flows():
        await flow.run(app, _set(), asyncio.Barrier(1))
    yield app
    await app.aclose()


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def _worker(app: TranslationApp, engine: str) -> WorkerProcess:
    return {
        "model": app.bergamot.worker,
        "pipeline": app.apertium.pipelines[Pair("pt", "es")],
        "voice": app.espeak.pool.workers[0],
    }[engine]


def _group(pid: int) -> Iterator[int]:
    """The process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield from _group(child)


async def _struck(app: TranslationApp, engine: str, blow: signal.Signals) -> list[Flow]:
    """Three languages that flow, one engine being struck after a third of the sentences."""
    flows = _flows()
    hit, gone_on = asyncio.Event(), asyncio.Barrier(len(flows) + 1)
    worker = _worker(app, engine)
    starts = worker.starts
    async with asyncio.TaskGroup() as group:
        for flow in flows:
            group.create_task(flow.run(app, hit, gone_on))
        await gone_on.wait()
        assert worker.pid is not None
        for pid in list(_group(worker.pid)):
            os.kill(pid, blow)
        hit.set()
    for _ in range(3):  # it may have been idle since, and is replaced when it is needed
        with contextlib.suppress(EngineFailure):
            await worker.warm()
    assert worker.starts > starts
    return flows


AFFECTED = {"model": {"pt", "es"}, "pipeline": {"es"}, "voice": set[str]()}
"""Whose text needs which engine."""


@pytest.mark.parametrize("engine", ["model", "pipeline", "voice"])
async def test_an_engine_that_is_killed_costs_no_sentence(app: TranslationApp, engine: str) -> None:
    """It is started again and the sentence repeated; the others have their usual times."""
    for flow in await _struck(app, engine, signal.SIGKILL):
        assert (flow.failed_texts, flow.failed_voices) == ([], []), flow
        if flow.target not in AFFECTED[engine]:
            assert max(flow.texts_s) < QUICK_S, flow


@pytest.mark.parametrize("engine", ["model", "pipeline"])
async def test_a_translator_that_hangs_holds_up_only_who_needs_it(app: TranslationApp, engine: str) -> None:
    """They lose the sentence that met it, after the deadline, and go on; the others notice nothing."""
    for flow in await _struck(app, engine, signal.SIGSTOP):
        assert flow.failed_voices == []
        if flow.target in AFFECTED[engine]:
            assert set(flow.failed_texts) <= {HIT_AT, HIT_AT + 1}, flow
        else:
            assert flow.failed_texts == []
            assert max(flow.texts_s) < QUICK_S, flow
            assert max(flow.voices_s) < QUICK_S, flow
        assert len(flow.texts_s) >= SENTENCES - 2


async def test_a_voice_that_hangs_costs_what_met_it_and_no_caption(app: TranslationApp) -> None:
    """All others are spoken by the second process, and all texts come as quickly as ever."""
    flows = await _struck(app, "voice", signal.SIGSTOP)
    assert sum(len(flow.failed_voices) for flow in flows) == 1
    for flow in flows:
        assert flow.failed_texts == []
        assert max(flow.texts_s) < QUICK_S, flow
        if not flow.failed_voices:
            assert max(flow.voices_s) < QUICK_S, flow


async def test_a_sentence_that_hangs_its_engine_is_tried_twice(app: TranslationApp) -> None:
    """By a pipeline that stands still whenever it gets this sentence; sent a third time it fails at once."""
    pipeline = _worker(app, "pipeline")
    for _ in range(2):
        await pipeline.warm()
        for pid in list(_group(pipeline.pid or 0)):
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(EngineTimedOut):
            await app.apertium.translate("A casa.", Pair("pt", "es"), urgency=Urgency.FINAL)
    starts = pipeline.starts
    began_s = time.monotonic()
    with pytest.raises(EnginePoisoned):
        await app.apertium.translate("A casa.", Pair("pt", "es"), urgency=Urgency.FINAL)
    assert time.monotonic() - began_s < 1
    assert await app.apertium.translate("A porta.", Pair("pt", "es"), urgency=Urgency.FINAL) == "La puerta."
    assert pipeline.starts == starts + 1
