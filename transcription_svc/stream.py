"""One stream: a config, then audio, then an end; results and quality events come out.

Two tasks: the reader hears the audio and feeds the engine, the writer turns the engine's results into
responses. Both put into one bounded channel that the call's handler empties.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator

from babelcast.channel import Channel
from babelcast.errors import AudioChunkTooLarge, InvalidMessage
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.transcription.v1 import transcription_pb2 as pb
from transcription_svc import dynamics
from transcription_svc.audio import Framer, PcmReader, Samples
from transcription_svc.engines.base import Recognition, SegmentResult, StreamOptions, Transcriber
from transcription_svc.quality import Issue, QualityChange, QualityMonitor
from transcription_svc.vad import SpeechDetector

MAX_CHUNK_BYTES = 32 * 1024
_RESPONSES = 32
"""Responses that wait for the network; further results wait in the engine, which leaves out partial ones."""
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
    ) -> None:
        """Raises: InvalidAudioFormat for a sample rate that is not accepted."""
        self._config = config
        self._transcriber = transcriber
        self._reader = PcmReader(config.sample_rate_hz)
        self._framer = Framer()
        self._speech = detector.track()
        self._track = dynamics.FrameTrack()
        self._baseline: dynamics.Measures | None = None
        self._quality = QualityMonitor()
        self._out: Channel[pb.StreamingTranscribeResponse] = Channel(_RESPONSES)
        self._position = 0
        self._judged = 0

    async def responses(
        self, requests: AsyncIterable[pb.StreamingTranscribeRequest]
    ) -> AsyncIterator[pb.StreamingTranscribeResponse]:
        """Everything from `started` to `ended`; ends without `ended` when the requests break off.

        Raises: BabelcastError for audio or messages that cannot be taken; what the engine raised.
        """
        work = asyncio.create_task(self._work(requests), name="transcription stream")
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
                complete = await self._read(requests, recognition)
                if not complete:
                    results.cancel()
            if complete:
                audio_ms = self._position * 1000 // SAMPLE_RATE_HZ
                await self._send(pb.StreamingTranscribeResponse(ended=pb.StreamEnded(audio_ms=audio_ms)))
        finally:
            self._out.close()
            await recognition.aclose()

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
            await self._hear(self._framer.push(self._reader.read(pcm)), recognition)
        return False

    async def _hear(self, samples: Samples, recognition: Recognition) -> None:
        if not len(samples):
            return
        self._position += len(samples)
        speech = self._speech.probabilities(samples)
        self._track.hear(samples, speech)
        changes = self._quality.hear(samples, speech)
        if self._position - self._judged >= SAMPLE_RATE_HZ:
            self._judged = self._position
            changes += await asyncio.to_thread(self._quality.second_passed)
        for change in changes:
            await self._send(_quality_response(change))
        await recognition.feed(samples, speech)

    async def _write(self, recognition: Recognition) -> None:
        async for result in recognition.results():
            await self._send(self._result_response(result))

    async def _send(self, response: pb.StreamingTranscribeResponse) -> None:
        await self._out.send(response)

    def _result_response(self, result: SegmentResult) -> pb.StreamingTranscribeResponse:
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
            message.dynamics.CopyFrom(self._dynamics(result))
        return pb.StreamingTranscribeResponse(result=message)

    def _dynamics(self, result: SegmentResult) -> pb.Dynamics:
        new = dynamics.measure(self._track.between(result.start, result.end), result.text)
        if new is None:
            return pb.Dynamics(rate=1.0, emotion="neutral")
        found = dynamics.describe(new, self._baseline)
        self._baseline = dynamics.updated(self._baseline, new)
        return pb.Dynamics(
            volume_db=found.volume_db,
            rate=found.rate,
            energy=found.energy,
            emotion=found.emotion,
            intensity=found.intensity,
        )

    def _session_ms(self, position: int) -> int:
        return self._config.start_offset_ms + position * 1000 // SAMPLE_RATE_HZ


def _quality_response(change: QualityChange) -> pb.StreamingTranscribeResponse:
    return pb.StreamingTranscribeResponse(
        quality=pb.QualityEvent(
            issue=_ISSUES[change.issue], active=change.active, measurements=dict(change.measurements)
        )
    )
