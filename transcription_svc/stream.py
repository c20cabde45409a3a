"""One stream: a config, then audio, then an end; results and quality events come out.

Two tasks: the reader hears the audio and feeds the engine, the writer turns the engine's results into
responses. Both put into one bounded channel that the call's handler empties.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable

from babelcast.channel import Channel
from babelcast.errors import AudioChunkTooLarge, InvalidMessage, Moving
from babelcast.pcm import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from babelcast.telemetry import instruments
from babelcast.transcription.v1 import transcription_pb2 as pb
from transcription_svc.arrivals import Arrivals
from transcription_svc.audio import FRAME_SAMPLES, Framer, PcmReader, Samples
from transcription_svc.delivery import Delivered, Delivery
from transcription_svc.engines.base import Recognition, SegmentResult, StreamOptions, Transcriber
from transcription_svc.listening import Listening, ListeningPolicy
from transcription_svc.quality import Issue, QualityChange
from transcription_svc.tracing import SegmentTraces
from transcription_svc.vad import SpeechDetector

log = logging.getLogger(__name__)

MAX_CHUNK_BYTES = 32 * 1024
_RESPONSES = 32
"""Responses that wait for the network; further results wait in the engine, which leaves out partial ones."""
FINISH_S = 5.0
"""How long the open segment may go on when the service is to stop. What it does not finish is not lost: its
owner has the audio since the last final result, and sends it to another replica."""
_ISSUES = {
    Issue.SNR_LOW: pb.QUALITY_ISSUE_SNR_LOW,
    Issue.CLIPPING: pb.QUALITY_ISSUE_CLIPPING,
    Issue.ECHO: pb.QUALITY_ISSUE_ECHO,
    Issue.SILENCE: pb.QUALITY_ISSUE_SILENCE,
}


class TranscriptionStream:
    """Serves one accepted stream. `responses` may be called once."""

    def __init__(
        self,
        config: pb.StreamConfig,
        *,
        transcriber: Transcriber,
        detector: SpeechDetector,
        listening: ListeningPolicy | None = None,
        clock: Callable[[], float] | None = None,
        draining: asyncio.Event | None = None,
    ) -> None:
        """`draining` is set when the stream is to move to another replica.

        Raises: InvalidAudioFormat for a sample rate that is not accepted.
        """
        self._config = config
        self._transcriber = transcriber
        self._reader = PcmReader(config.sample_rate_hz)
        self._framer = Framer()
        self._speech = detector.track()
        self._listening = Listening(self._report, listening or ListeningPolicy())
        self._out: Channel[pb.StreamingTranscribeResponse] = Channel(_RESPONSES)
        self._context = config.context_ms * SAMPLE_RATE_HZ // 1000 // FRAME_SAMPLES * FRAME_SAMPLES
        """Samples still to come, whole frames, that only warm the detection of speech up."""
        self._position = 0
        self._arrivals = Arrivals()
        self._received = 0
        """Samples of the stream's own rate, context included."""
        self._traces = SegmentTraces(
            session_id=config.session_id, language=config.language, engine=transcriber.capabilities.name
        )
        self._clock = clock or asyncio.get_running_loop().time
        self._delivery = Delivery(partial_results=config.partial_results)
        self._held = asyncio.Event()
        self._delivering = asyncio.Lock()
        self._draining = draining or asyncio.Event()
        self._between = asyncio.Event()
        """Set while no words of an open segment are out."""
        self._between.set()

    async def responses(
        self, requests: AsyncIterable[pb.StreamingTranscribeRequest]
    ) -> AsyncIterator[pb.StreamingTranscribeResponse]:
        """Everything from `started` to `ended`; ends without `ended` when the requests break off.

        Raises: BabelcastError for audio or messages that cannot be taken; Moving between two segments when
        the service is to stop; what the engine raised.
        """
        work = asyncio.create_task(self._work(requests), name="transcription stream")
        work.add_done_callback(self._traces.over)
        try:
            async for response in self._out:
                yield response
            await work
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def _work(self, requests: AsyncIterable[pb.StreamingTranscribeRequest]) -> None:
        config = self._config
        recognition = self._transcriber.open(
            StreamOptions(
                language=config.language,
                partial_results=config.partial_results,
                min_stability=config.min_stability,
                max_segment_s=config.max_buffer_timeout_s,
                first_segment=config.first_segment,
            )
        )
        try:
            name = self._transcriber.capabilities.name
            await self._send(pb.StreamingTranscribeResponse(started=pb.StreamStarted(engine=name)))
            async with asyncio.TaskGroup() as tasks:
                results = tasks.create_task(self._write(recognition), name="results")
                moving = tasks.create_task(self._move_when_draining(), name="move")
                complete = await self._read(requests, recognition)
                moving.cancel()  # to the end it is not far
                if not complete:
                    results.cancel()
            await self._listening.aclose()
            if complete:
                audio_ms = self._position * 1000 // SAMPLE_RATE_HZ
                await self._send(pb.StreamingTranscribeResponse(ended=pb.StreamEnded(audio_ms=audio_ms)))
        finally:
            self._out.close()
            await self._listening.aclose()
            await recognition.aclose()

    async def _move_when_draining(self) -> None:
        """Raises: Moving, once the service is to stop and the open segment is final, or has had its time."""
        await self._draining.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await self._between.wait()
        raise Moving

    async def _read(
        self, requests: AsyncIterable[pb.StreamingTranscribeRequest], recognition: Recognition
    ) -> bool:
        """Take requests up to the end; False when they break off before it."""
        async for request in requests:
            kind = request.WhichOneof("payload")
            if kind == "end":
                rest = self._framer.push(self._reader.flush())
                await self._hear(rest, recognition)
                await self._hear(self._framer.flush(), recognition)
                await recognition.finish()
                return True
            if kind != "audio":
                raise InvalidMessage("After the config a stream takes audio, then an end.")
            pcm = request.audio.pcm
            if len(pcm) > MAX_CHUNK_BYTES:
                raise AudioChunkTooLarge(size=len(pcm), limit=MAX_CHUNK_BYTES)
            if request.audio.traceparent:
                self._traces.heard(self._place(), request.audio.traceparent)
            self._received += len(pcm) // BYTES_PER_SAMPLE
            await self._hear(self._framer.push(self._reader.read(pcm)), recognition)
        return False

    def _place(self) -> int:
        """Where the next sample comes, as results count."""
        context = self._config.context_ms * SAMPLE_RATE_HZ // 1000
        return self._received * SAMPLE_RATE_HZ // self._config.sample_rate_hz - context

    async def _hear(self, samples: Samples, recognition: Recognition) -> None:
        if self._context and len(samples):
            context, samples = samples[: self._context], samples[self._context :]
            self._context -= len(context)
            self._speech.probabilities(context)
        if not len(samples):
            return
        self._position += len(samples)
        self._arrivals.came(self._position, self._clock())
        speech = self._speech.probabilities(samples)
        await self._listening.hear(samples, speech)
        await recognition.feed(samples, speech)

    async def _write(self, recognition: Recognition) -> None:
        async with asyncio.TaskGroup() as tasks:
            releasing = tasks.create_task(self._release_held(), name="held partial results")
            async for result in recognition.results():
                async with self._delivering:
                    await self._deliver(self._delivery.offer(result, self._clock()))
                self._held.set()
            releasing.cancel()

    async def _release_held(self) -> None:
        """Send the partial result that waits when its time has come."""
        while True:
            await self._held.wait()
            self._held.clear()
            while (due_s := self._delivery.due_s) is not None:
                await asyncio.sleep(max(0.0, due_s - self._clock()))
                async with self._delivering:
                    await self._deliver(self._delivery.release(self._clock()))

    async def _deliver(self, delivered: Delivered | None) -> None:
        if delivered is None:
            return
        if delivered.corrects:
            language = self._config.language
            instruments.CORRECTIONS.add(1, {instruments.ENGINE: self._transcriber.capabilities.name})
            log.debug("shown text corrected", extra={"language": language, "changed": delivered.changed})
        if not delivered.result.is_final:
            self._between.clear()
            self._traces.partial(delivered.result)
        response = await self._result_response(delivered.result)
        if delivered.result.is_final:
            delay_s = self._arrivals.delay_s(delivered.result.end, self._clock())
            if delay_s is not None:
                instruments.FINAL_DELAY.record(delay_s)
        await self._send(response)
        if delivered.result.is_final:
            self._between.set()

    async def _report(self, change: QualityChange) -> None:
        await self._send(_quality_response(change))

    async def _send(self, response: pb.StreamingTranscribeResponse) -> None:
        await self._out.send(response)

    async def _result_response(self, result: SegmentResult) -> pb.StreamingTranscribeResponse:
        message = pb.TranscriptResult(
            segment=result.segment,
            revision=result.revision,
            text=result.text,
            stable_text=result.stable_text,
            is_final=result.is_final,
            stability=result.stability,
            start_ms=self._session_ms(result.start),
            end_ms=self._session_ms(result.end),
        )
        if result.is_final:
            how = await self._listening.dynamics(result.start, result.end, result.text)
            message.dynamics.CopyFrom(
                pb.Dynamics(
                    volume_db=how.volume_db,
                    rate=how.rate,
                    energy=how.energy,
                    emotion=how.emotion,
                    intensity=how.intensity,
                )
            )
            message.traceparent, message.audio_traceparent = self._traces.final(result)
        return pb.StreamingTranscribeResponse(result=message)

    def _session_ms(self, position: int) -> int:
        return self._config.start_offset_ms + position * 1000 // SAMPLE_RATE_HZ


def _quality_response(change: QualityChange) -> pb.StreamingTranscribeResponse:
    return pb.StreamingTranscribeResponse(
        quality=pb.QualityEvent(
            issue=_ISSUES[change.issue], active=change.active, measurements=dict(change.measurements)
        )
    )
