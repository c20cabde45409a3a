"""Live recognition with any decoder of whole pieces of audio.

One `LiveRecognition` is one stream: `feed` hears frame by frame, a task of its own decodes what the segmenter
asks for. At most one decode of a stream runs at a time, so results come in order by themselves.

What is decoded depends on the audio alone, not on when it comes or how long decodes take: no frame is heard
between the one that made a decode due and its outcome. Only real load changes that: a stream that waits for
a worker which others use hears on, and one whose decodes are slow has partial results more seldom (`Pace`).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from enum import Enum, auto

from babelcast.channel import Channel
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.telemetry import instruments
from transcription_svc.audio import FRAME_SAMPLES, SampleBuffer, Samples
from transcription_svc.capacity import CostMeter
from transcription_svc.engines.base import (
    Capabilities,
    Decoder,
    DecodeTask,
    Effort,
    SegmentResult,
    StreamOptions,
)
from transcription_svc.open_segment import Task, TaskKind
from transcription_svc.pacing import Pace
from transcription_svc.segment_policy import SegmentPolicy
from transcription_svc.segmenter import Segmenter
from transcription_svc.slots import FairSlots, Urgency

log = logging.getLogger(__name__)

_RESULTS = 64
"""Results that wait for the receiver. Finals wait for room; partials are left out when it is half full."""
_AHEAD_MS = 300.0
"""Audio that is heard while a worker is waited for: then the newest text is wanted, and a pause is urgent."""


class _Phase(Enum):
    """What the decoding of a stream is doing."""

    IDLE = auto()
    DUE = auto()
    """There is something to decode."""
    WAITING = auto()
    """Other streams use all workers."""
    DECODING = auto()


class LiveTranscriber:
    """Serves streams with one decoder on a few worker threads."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        workers: int,
        policy: SegmentPolicy | None = None,
        meter: CostMeter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`meter` is told what each decode takes."""
        self._decoder = decoder
        self._meter = meter
        self._policy = policy or SegmentPolicy()
        self._clock = clock
        self._slots = FairSlots(workers)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    @property
    def capabilities(self) -> Capabilities:
        """Those of the decoder."""
        return self._decoder.capabilities

    def open(self, options: StreamOptions) -> "LiveRecognition":
        """Start a stream."""
        return LiveRecognition(
            options,
            decoder=self._decoder,
            policy=self._policy,
            meter=self._meter,
            slots=self._slots,
            threads=self._threads,
            clock=self._clock,
        )

    async def aclose(self) -> None:
        """Wait for running decodes and free the threads."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)


class LiveRecognition:
    """One stream. Owns its decoding task; `aclose` ends it."""

    def __init__(
        self,
        options: StreamOptions,
        *,
        decoder: Decoder,
        policy: SegmentPolicy,
        meter: CostMeter | None,
        slots: FairSlots,
        threads: Executor,
        clock: Callable[[], float],
    ) -> None:
        self._options = options
        self._decoder = decoder
        self._policy = policy
        self._meter = meter
        self._slots = slots
        self._threads = threads
        self._clock = clock
        self._segmenter = Segmenter(options, policy)
        self._buffer = SampleBuffer()
        self._out: Channel[SegmentResult] = Channel(_RESULTS)
        self._pace = Pace(policy.partial_ms)
        self._heard = asyncio.Event()
        self._changed = asyncio.Event()
        self._finished = False
        self._phase = _Phase.IDLE
        self._asked_at = 0
        self._task = asyncio.create_task(self._decode_all(), name="decode")

    async def feed(self, samples: Samples, speech: Samples) -> None:
        """Hear whole frames; waits for the outcome of the decode that a frame makes due before the next one.

        Raises: what the decoder raised.
        """
        for number, probability in enumerate(speech):
            await self._room()
            if self._task.done():
                await self._task
            self._buffer.append(samples[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES])
            await self._send(self._segmenter.hear(float(probability)))
            self._buffer.forget_before(self._segmenter.keep_from)
            task = self._segmenter.next_task()
            if task is not None:
                if task.kind is TaskKind.CLOSING:
                    self._slots.promote(self, Urgency.FINAL)
                if self._phase is _Phase.IDLE:
                    self._phase = _Phase.DUE
                    self._heard.set()

    async def finish(self) -> None:
        """No more audio comes; `results` ends when all is answered."""
        while not self._task.done() and self._phase is not _Phase.IDLE:
            await self._change()
        self._finished = True
        await self._send(self._segmenter.end())
        self._heard.set()

    async def results(self) -> AsyncIterator[SegmentResult]:
        """All results in order.

        Raises: what the decoder raised.
        """
        async for result in self._out:
            yield result
        await self._task

    async def aclose(self) -> None:
        """Stop at once."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._task])
        self._slots.forget(self)

    async def _room(self) -> None:
        """Wait until the next frame may be heard, or nothing will be decoded any more."""
        while not self._task.done() and (
            self._phase in (_Phase.DUE, _Phase.DECODING)
            or (self._phase is _Phase.WAITING and (self._segmenter.waiting or self._ahead()))
        ):
            await self._change()

    def _ahead(self) -> bool:
        return self._segmenter.position - self._asked_at > _AHEAD_MS * SAMPLE_RATE_HZ / 1000

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._changed.set()

    async def _decode_all(self) -> None:
        try:
            while True:
                task = self._segmenter.next_task()
                if task is not None:
                    await self._decode_one(task)
                elif self._finished:
                    return
                else:
                    self._heard.clear()
                    await self._heard.wait()
        finally:
            self._out.close()
            self._changed.set()

    async def _decode_one(self, asked: Task) -> None:
        urgency = Urgency.FINAL if asked.kind is TaskKind.CLOSING else Urgency.PARTIAL
        self._asked_at = self._segmenter.position
        self._enter(_Phase.WAITING)
        began = self._clock()
        try:
            async with self._slots.slot(self, urgency):
                self._enter(_Phase.DECODING)
                # while waiting, more may have been heard: the newest audio is decoded, and only once
                task = self._segmenter.next_task() or asked
                samples = self._buffer.cut(task.start, task.end)
                started = self._clock()
                hypothesis = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._decoder.decode, samples, self._order(task)
                )
            self._tell_meter(task, self._clock() - started)
            self._slow_down((self._clock() - began) * 1000)
            await self._send(self._segmenter.take(task, hypothesis, samples))
        finally:
            self._enter(_Phase.IDLE)

    def _slow_down(self, took_ms: float) -> None:
        """Have partial results as often as there is time for."""
        self._pace.took(took_ms, position_ms=self._segmenter.position / (SAMPLE_RATE_HZ / 1000))
        self._segmenter.partial_ms = self._pace.interval_ms
        if self._pace.slowed:
            instruments.SLOWED.add(1)

    def _tell_meter(self, task: Task, took_s: float) -> None:
        if self._meter is not None:
            (self._meter.thorough if task.thorough else self._meter.quick)(took_s)

    def _order(self, task: Task) -> DecodeTask:
        effort = Effort.THOROUGH if task.thorough else Effort.QUICK
        return DecodeTask(
            language=self._options.language, effort=effort, timed=task.timed, prefix=task.prefix
        )

    async def _send(self, results: Sequence[SegmentResult]) -> None:
        for result in results:
            if result.is_final or len(self._out) < self._out.capacity // 2:
                await self._out.send(result)
