"""The real engines, killed, hanging and shut down."""

import asyncio
import os
import select
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast.rpc.client import open_channel
from babelcast.translation.v1 import translation_pb2 as pb
from babelcast.translation.v1 import translation_pb2_grpc
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.failures import EngineFailure
from translation_svc.glossary import Glossary
from translation_svc.service import SERVICE_NAME
from translation_svc.translators.base import Pair
from translation_svc.turns import Urgency
from translation_svc.worker import environment

if TYPE_CHECKING:
    from tests.integration.translation_svc.conftest import Owner, Stub

pytestmark = pytest.mark.engines


async def _translate(app: TranslationApp, text: str, source: str, target: str) -> str:
    return await app.interpreter.translate(
        text, source=source, target=target, glossary=Glossary(), urgency=Urgency.FINAL
    )


def _descendants(pid: int) -> Iterator[int]:
    """All processes below `pid`."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from _descendants(child)


def _there(pids: Iterable[int]) -> list[int]:
    """Those that still exist, be it as zombies."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def test_killed_engines_are_replaced_and_no_segment_is_lost(
    owner: "Owner", app: TranslationApp
) -> None:
    """The models, an Apertium pipeline, one of its stages and the voice die between and amid segments.

    Sentences are short, so that the voice has no reason to leave any out.
    """
    await owner.open()
    await owner.segment(0, "This is the first sentence.", "pt", "es", speak=True)
    for _ in range(4):
        await owner.read()
    pipeline = app.apertium.pipelines[Pair("pt", "es")]
    count = 0
    for target in ("models", "pipeline", "stage", "voice"):
        pid = {"models": app.bergamot.worker.pid, "voice": app.espeak.pool.workers[0].pid}.get(
            target, pipeline.pid
        )
        assert pid is not None
        if target == "stage":
            pid = next(_descendants(pid))
        for _ in range(5):
            count += 1
            await owner.segment(count, f"It is number {count}.", "pt", "es", speak=target == "voice")
        os.kill(pid, signal.SIGKILL)
        keys: list[tuple[str, str, int]] = []
        while len(keys) < (20 if target == "voice" else 10):
            answer = await owner.read()
            kind = answer.WhichOneof("payload")
            assert kind in {"translation", "speech"}, answer
            told = getattr(answer, kind)
            numbers = [told.segment, *(told.merged if kind == "speech" else ())]
            keys += [(told.language, kind, number) for number in numbers]
        for language in ("pt", "es"):
            for wanted in ("translation", "speech") if target == "voice" else ("translation",):
                answered = [number for code, kind, number in keys if (code, kind) == (language, wanted)]
                assert answered == list(range(count - 4, count + 1))
    assert await owner.end() == []
    assert app.bergamot.worker.starts == pipeline.starts - 1 == app.espeak.pool.workers[0].starts == 2


async def test_a_hanging_language_hurts_nobody_else(
    stub: "Stub", owner: "Owner", app: TranslationApp
) -> None:
    """Its group is stopped in mid-life: Spanish fails after the deadline, Portuguese does not wait."""
    await owner.open()
    await owner.segment(0, "This is the first sentence.", "pt", "es")
    await owner.texts(["pt", "es"])
    pid = app.apertium.pipelines[Pair("pt", "es")].pid
    assert pid is not None
    stages = list(_descendants(pid))
    for stage in stages:
        os.kill(stage, signal.SIGSTOP)
    started = time.monotonic()
    await owner.segment(1, "The library is closed today.", "pt", "es")
    portuguese = await owner.read()
    assert portuguese.translation.language == "pt"
    assert time.monotonic() - started < 1.5
    failure = (await owner.read()).failure
    assert (failure.language, failure.segment, failure.reason) == ("es", 1, "SERVICE_UNAVAILABLE")
    await owner.segment(2, "The library is open today.", "es")
    assert "biblioteca" in (await owner.texts(["es"]))["es"]
    await owner.end()
    await app.apertium.aclose()
    assert not _there(stages)


async def test_health_follows_the_models(app: TranslationApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """NOT_SERVING while their process rests after repeated failures, SERVING when it works again."""
    kind = health_pb2.HealthCheckResponse
    async with open_channel(f"127.0.0.1:{app.port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE_NAME))
        seen = [(await watch.read()).status]
        with monkeypatch.context() as broken:
            broken.setattr(app.bergamot.worker, "_command", ("/nonexistent/engine",))
            os.kill(app.bergamot.worker.pid or 0, signal.SIGKILL)
            for number in range(3):
                with pytest.raises(EngineFailure):
                    await _translate(app, f"Sentence {number}.", "en", "pt")
            seen.append((await watch.read()).status)
        async with asyncio.timeout(10):
            seen.append((await watch.read()).status)
        assert await _translate(app, "Good morning.", "en", "pt") == "Bom dia."
    assert seen == [kind.SERVING, kind.NOT_SERVING, kind.SERVING]


async def test_a_hint_without_words_starts_a_language(owner: "Owner", app: TranslationApp) -> None:
    """An empty partial, sent when a listener joins, saves the first sentence the wait for the engines."""
    await owner.open()
    await owner.segment(0, "", "ca", final=False)
    assert await owner.texts(["ca"]) == {"ca": ""}
    pipeline = app.apertium.pipelines[Pair("es", "ca")]
    await owner.segment(1, "Good morning.", "ca")
    assert await owner.texts(["ca"]) == {"ca": "Bon dia."}
    assert pipeline.starts == 1
    await owner.end()


async def test_engines_leave_no_process_behind(config: TranslationConfig) -> None:
    """Neither running nor dead."""
    before = set(_descendants(os.getpid()))
    app = TranslationApp(config)
    await app.start()
    await _translate(app, "Good morning.", "en", "ca")
    started = set(_descendants(os.getpid())) - before
    assert len(started) > 10
    await app.aclose()
    await app.aclose()
    assert not _there(started)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def _serving(target: str) -> None:
    request = health_pb2.HealthCheckRequest(service=SERVICE_NAME)
    async with asyncio.timeout(60), grpc.aio.insecure_channel(target) as channel:
        async for answer in health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


@asynccontextmanager
async def _alone() -> AsyncIterator[tuple[asyncio.subprocess.Process, "Stub"]]:
    """The service as a process of its own, and a client. No pipes: its workers would hold them open."""
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "translation_svc",
        env={**environment(), "TRANSLATION_BIND": f"127.0.0.1:{port}"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _serving(f"127.0.0.1:{port}")
        async with open_channel(f"127.0.0.1:{port}") as channel:
            yield process, translation_pb2_grpc.TranslationServiceStub(channel)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_service_alone_starts_serves_and_drains() -> None:
    """As `python -m translation_svc`: after SIGTERM gone with status 0, and its workers with it."""
    async with _alone() as (process, _):
        workers = list(_descendants(process.pid))
        process.terminate()
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    assert workers
    assert not _there(workers)


async def test_workers_end_with_a_service_that_is_killed() -> None:
    """Models, voice, supervisors and stages, even one that hangs."""
    async with _alone() as (process, stub):
        call = stub.StreamingTranslate()
        config = pb.StreamConfig(source_language="en")
        await call.write(pb.StreamingTranslateRequest(config=config))
        segment = pb.Segment(
            text="Good morning.", is_final=True, targets=[pb.Target(language="ca", speak=True)]
        )
        await call.write(pb.StreamingTranslateRequest(segment=segment))
        async with asyncio.timeout(30):
            for kind in ("started", "translation", "speech"):
                answer = await call.read()
                assert isinstance(answer, pb.StreamingTranslateResponse)
                assert answer.WhichOneof("payload") == kind
        workers = list(_descendants(process.pid))
        assert len(workers) > 10
        os.kill(workers[-1], signal.SIGSTOP)
        watches = [os.pidfd_open(worker) for worker in workers]
        process.kill()
        await process.wait()
        for watch in watches:
            assert await asyncio.to_thread(select.select, [watch], [], [], 10) == ([watch], [], [])
            os.close(watch)
