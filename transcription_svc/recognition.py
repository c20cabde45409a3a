"""Live recognition with any decoder of whole pieces of audio.

One `LiveRecognition` is one stream: `feed` hears frame by frame, a task of its own decodes what the segmenter
asks for. At most one decode of a stream runs at a time, so results come in order by themselves.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from babelcast.channel import Channel
from babelcast.pcm import SAMPLE_RATE_HZ
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
from transcription_svc.segment_policy import SegmentPolicy
from transcription_svc.segmenter import Segmenter
from transcription_svc.slots import FairSlots, Urgency

log = logging.getLogger(__name__)

_RESULTS = 64
"""Results that wait for the receiver. Finals wait for room; partials are left out when it is half full."""
_AHEAD = 0.6
"""Audio that may be taken in while a decode is waited for, as a share of the time between partial results:
with more, a stream that catches up would leave some out, and results would depend on chance.
"""
_LOAD_FACTOR = 2.5
"""Pause between partial results, in multiples of the time one takes with waiting: leaves room for finals."""
_SLOWEST_PARTIAL_MS = 3000.0
_AT_EASE = 0.7
"""A decode that takes less than this share of the usual time between partial results leaves that as it is:
they come at the same places of the audio then, and what they agree on does not depend on chance.
"""


def partial_interval_ms(wanted_ms: float, *, took_ms: float) -> float:
    """Time between partial results when the last decode took so long, its wait for a free worker included."""
    if took_ms <= _AT_EASE * wanted_ms:
        return wanted_ms
    return min(max(wanted_ms, took_ms * _LOAD_FACTOR), _SLOWEST_PARTIAL_MS)


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
        self._heard = asyncio.Event()
        self._decoded = asyncio.Event()
        self._finished = False
        self._decoding_since: int | None = None
        self._task = asyncio.create_task(self._decode_all(), name="decode")

    async def feed(self, samples: Samples, speech: Samples) -> None:
        """Hear whole frames; waits while the newest text is needed to go on, or is more than 1 s behind.

        Raises: what the decoder raised.
        """
        for number, probability in enumerate(speech):
            await self._room()
            self._buffer.append(samples[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES])
            await self._send(self._segmenter.hear(float(probability)))
            self._buffer.forget_before(self._segmenter.keep_from)
            task = self._segmenter.next_task()
            if task is not None:
                if task.kind is TaskKind.CLOSING:
                    self._slots.promote(self, Urgency.FINAL)
                self._heard.set()
                if self._decoding_since is None:
                    await asyncio.sleep(0)  # let decoding begin, so that it counts as under way

    async def finish(self) -> None:
        """No more audio comes; `results` ends when all is answered."""
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
        while not self._task.done() and (self._segmenter.waiting or self._ahead()):
            self._decoded.clear()
            await self._decoded.wait()
        if self._task.done():
            await self._task

    def _ahead(self) -> bool:
        since = self._decoding_since
        ahead_ms = _AHEAD * self._segmenter.partial_ms
        return since is not None and self._segmenter.position - since > ahead_ms * SAMPLE_RATE_HZ / 1000

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
            self._decoded.set()

    async def _decode_one(self, asked: Task) -> None:
        urgency = Urgency.FINAL if asked.kind is TaskKind.CLOSING else Urgency.PARTIAL
        self._decoding_since = self._segmenter.position
        began = self._clock()
        try:
            async with self._slots.slot(self, urgency):
                # while waiting, more was heard: the newest audio is decoded, and only once
                task = self._segmenter.next_task() or asked
                samples = self._buffer.cut(task.start, task.end)
                started = self._clock()
                hypothesis = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._decoder.decode, samples, self._order(task)
                )
            self._tell_meter(task, self._clock() - started)
            took_ms = (self._clock() - began) * 1000
            self._segmenter.partial_ms = partial_interval_ms(self._policy.partial_ms, took_ms=took_ms)
            await self._send(self._segmenter.take(task, hypothesis, samples))
        finally:
            self._decoding_since = None
            self._decoded.set()

    def _tell_meter(self, task: Task, took_s: float) -> None:
        if self._meter is not None:
            (self._meter.thorough if task.thorough else self._meter.quick)(took_s)

    def _order(self, task: Task) -> DecodeTask:
        effort = Effort.THOROUGH if task.thorough else Effort.QUICK
        return DecodeTask(language=self._options.language, effort=effort, timed=task.timed)

    async def _send(self, results: Sequence[SegmentResult]) -> None:
        for result in results:
            if result.is_final or len(self._out) < self._out.capacity // 2:
                await self._out.send(result)
