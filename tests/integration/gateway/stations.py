"""Scripted transcription and translation over real gRPC: they say what a test tells them to say."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Final

import grpc

from babelcast.errors import BabelcastError
from babelcast.pcm import BYTES_PER_MS, duration_ms
from babelcast.transcription.v1 import transcription_pb2 as stt
from babelcast.transcription.v1 import transcription_pb2_grpc as stt_rpc
from babelcast.translation.v1 import translation_pb2 as mt
from babelcast.translation.v1 import translation_pb2_grpc as mt_rpc

PATIENCE_S: Final = 10.0
SPEECH_RATE_HZ: Final = 16_000


class Hearing:
    """One transcription stream. The test reads `audio` and `config`, and says `partial`, `final`, `cut`."""

    def __init__(self, config: stt.StreamConfig, *, answer_end: bool) -> None:
        self.config = config
        self.pieces: list[bytes] = []
        self.end_came = asyncio.Event()
        self.left = asyncio.Event()
        self.outgoing: asyncio.Queue[stt.StreamingTranscribeResponse | BabelcastError | None] = (
            asyncio.Queue()
        )
        self._answer_end = answer_end
        self._grown = asyncio.Event()

    @property
    def audio(self) -> bytes:
        """All that was heard on this stream."""
        return b"".join(self.pieces)

    def partial(
        self, segment: int, text: str, *, stable: str = "", revision: int = 0, end_ms: int = 0
    ) -> None:
        """Say what is understood so far."""
        self._say(
            stt.TranscriptResult(
                segment=segment,
                revision=revision,
                text=text,
                stable_text=stable,
                stability=0.5,
                start_ms=self.config.start_offset_ms,
                end_ms=end_ms,
            )
        )

    def final(self, segment: int, text: str, *, end_ms: int = 100, revision: int = 9) -> None:
        """Say what was said."""
        self._say(
            stt.TranscriptResult(
                segment=segment,
                revision=revision,
                text=text,
                stable_text=text,
                is_final=True,
                stability=1.0,
                start_ms=self.config.start_offset_ms,
                end_ms=end_ms,
                dynamics=stt.Dynamics(
                    volume_db=-1.5, rate=1.1, energy=0.2, emotion="excited", intensity=0.75
                ),
            )
        )

    def quality(self, issue: "stt.QualityIssue.ValueType", *, active: bool, **measurements: float) -> None:
        """Say that the sound is bad, or good again."""
        event = stt.QualityEvent(issue=issue, active=active, measurements=measurements)
        self.outgoing.put_nowait(stt.StreamingTranscribeResponse(quality=event))

    def end(self) -> None:
        """Say `ended`."""
        ended = stt.StreamEnded(audio_ms=round(duration_ms(self.audio)))
        self.outgoing.put_nowait(stt.StreamingTranscribeResponse(ended=ended))

    def cut(self) -> None:
        """Break off without `ended`."""
        self.outgoing.put_nowait(None)

    def refuse(self, error: BabelcastError) -> None:
        """Break off with an error."""
        self.outgoing.put_nowait(error)

    async def heard(self, size: int) -> bytes:
        """Wait until that many bytes were heard."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.audio) < size:
                self._grown.clear()
                await self._grown.wait()
        return self.audio

    async def read(self, requests: AsyncIterator[stt.StreamingTranscribeRequest]) -> None:
        """Listen; what was answered before is not among the pieces."""
        context = self.config.context_ms * BYTES_PER_MS
        async for request in requests:
            if request.HasField("end"):
                self.end_came.set()
                if self._answer_end:
                    self.end()
                continue
            pcm = request.audio.pcm[context:]
            context -= min(context, len(request.audio.pcm))
            if pcm:
                self.pieces.append(pcm)
                self._grown.set()

    def _say(self, result: stt.TranscriptResult) -> None:
        self.outgoing.put_nowait(stt.StreamingTranscribeResponse(result=result))


class ScriptedTranscription(stt_rpc.TranscriptionServiceServicer):
    """Hands each stream to the test; `refusals` are raised one by one instead of accepting a stream."""

    def __init__(self) -> None:
        self.refusals: list[BabelcastError] = []
        self.languages = ["de", "en", "es"]
        self.answer_end = True
        self.max_audio_bytes = 0
        self._opened: asyncio.Queue[Hearing] = asyncio.Queue()
        self.streams: list[Hearing] = []

    async def opened(self) -> Hearing:
        """The next stream that was opened."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._opened.get()

    async def StreamingTranscribe(  # noqa: N802 - named by the contract
        self,
        request_iterator: AsyncIterator[stt.StreamingTranscribeRequest],
        context: grpc.aio.ServicerContext[stt.StreamingTranscribeRequest, stt.StreamingTranscribeResponse],
    ) -> AsyncIterator[stt.StreamingTranscribeResponse]:
        first = await anext(aiter(request_iterator))
        assert first.HasField("config")
        if self.refusals:
            raise self.refusals.pop(0)
        hearing = Hearing(first.config, answer_end=self.answer_end)
        self.streams.append(hearing)
        self._opened.put_nowait(hearing)
        yield stt.StreamingTranscribeResponse(started=stt.StreamStarted(engine="script"))
        reader = asyncio.create_task(hearing.read(request_iterator))
        try:
            while (response := await hearing.outgoing.get()) is not None:
                if isinstance(response, BabelcastError):
                    raise response
                yield response
                if response.HasField("ended"):
                    return
        finally:
            hearing.left.set()
            reader.cancel()
            await asyncio.wait([reader])

    async def GetCapabilities(  # noqa: N802 - named by the contract
        self,
        request: stt.GetCapabilitiesRequest,
        context: grpc.aio.ServicerContext[stt.GetCapabilitiesRequest, stt.GetCapabilitiesResponse],
    ) -> stt.GetCapabilitiesResponse:
        return stt.GetCapabilitiesResponse(languages=self.languages, max_streams=4, engine="script")


@dataclass(slots=True)
class Script:
    """How translation behaves. `mute` languages are translated and not spoken. Segment numbers in
    `cut_before_speech_of` break the stream once each.
    """

    failing: dict[str, int] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    cut_before_speech_of: set[int] = field(default_factory=set)
    refusals: list[BabelcastError] = field(default_factory=list)
    speech_ms: int = 100
    opus: bytes = b"OggS-opus"


class ScriptedTranslation(mt_rpc.TranslationServiceServicer):
    """Answers '[es] text' and some sound, as its script has it. `segments` are all that were asked for."""

    def __init__(self) -> None:
        self.script = Script()
        self.targets = {"en": ["es", "fr", "pt"], "es": ["en", "pt"]}
        self.configs: list[mt.StreamConfig] = []
        self.segments: list[mt.Segment] = []
        self.expected: list[list[str]] = []
        self.open_streams = 0
        self._interruptions: asyncio.Queue[mt.StreamingTranslateResponse | BabelcastError | None] = (
            asyncio.Queue()
        )

    def refuse(self, error: BabelcastError) -> None:
        """Break the stream that is open, with an error."""
        self._interruptions.put_nowait(error)

    def cut(self) -> None:
        """Break the stream that is open."""
        self._interruptions.put_nowait(None)

    def say(self, response: mt.StreamingTranslateResponse) -> None:
        """Answer something out of the script."""
        self._interruptions.put_nowait(response)

    def asked(self, language: str, *, final: bool = True) -> list[int]:
        """The segments that a language was asked for."""
        return [
            segment.segment
            for segment in self.segments
            if segment.is_final is final and language in {target.language for target in segment.targets}
        ]

    async def StreamingTranslate(  # noqa: N802 - named by the contract
        self,
        request_iterator: AsyncIterator[mt.StreamingTranslateRequest],
        context: grpc.aio.ServicerContext[mt.StreamingTranslateRequest, mt.StreamingTranslateResponse],
    ) -> AsyncIterator[mt.StreamingTranslateResponse]:
        requests = aiter(request_iterator)
        first = await anext(requests)
        assert first.HasField("config")
        if self.script.refusals:
            raise self.script.refusals.pop(0)
        self.configs.append(first.config)
        self._interruptions = asyncio.Queue()
        self.open_streams += 1
        yield mt.StreamingTranslateResponse(started=mt.StreamStarted())
        interruption = asyncio.ensure_future(self._interruptions.get())
        following = asyncio.ensure_future(anext(requests, None))
        try:
            while True:
                await asyncio.wait([following, interruption], return_when=asyncio.FIRST_COMPLETED)
                if interruption.done():
                    answer = interruption.result()
                    if answer is None:
                        return
                    if isinstance(answer, BabelcastError):
                        raise answer
                    yield answer
                    interruption = asyncio.ensure_future(self._interruptions.get())
                    continue
                request = following.result()
                if request is None:
                    return
                if request.HasField("end"):
                    yield mt.StreamingTranslateResponse(ended=mt.StreamEnded())
                    return
                following = asyncio.ensure_future(anext(requests, None))
                if request.HasField("expected"):
                    self.expected.append(list(request.expected.languages))
                    continue
                self.segments.append(request.segment)
                for answer in self._answers(request.segment):
                    if answer is None:
                        return
                    yield answer
        finally:
            self.open_streams -= 1
            interruption.cancel()
            following.cancel()

    async def ListLanguages(  # noqa: N802 - named by the contract
        self,
        request: mt.ListLanguagesRequest,
        context: grpc.aio.ServicerContext[mt.ListLanguagesRequest, mt.ListLanguagesResponse],
    ) -> mt.ListLanguagesResponse:
        return mt.ListLanguagesResponse(
            targets={source: mt.TargetLanguages(languages=names) for source, names in self.targets.items()}
        )

    def _answers(self, segment: mt.Segment) -> Iterable[mt.StreamingTranslateResponse | None]:
        for target in segment.targets:
            if target.language in self.script.hanging:
                continue
            failing = self.script.failing.get(target.language)
            if failing == mt.COMPONENT_TRANSLATION:
                yield self._failure(segment, target, mt.COMPONENT_TRANSLATION)
                continue
            yield mt.StreamingTranslateResponse(
                translation=mt.Translation(
                    segment=segment.segment,
                    revision=segment.revision,
                    language=target.language,
                    text=f"[{target.language}] {segment.text}",
                    is_final=segment.is_final,
                )
            )
            if not target.speak or target.language in self.script.mute:
                continue
            if segment.segment in self.script.cut_before_speech_of:
                self.script.cut_before_speech_of.discard(segment.segment)
                yield None
                return
            if failing == mt.COMPONENT_SPEECH:
                yield self._failure(segment, target, mt.COMPONENT_SPEECH)
                continue
            yield mt.StreamingTranslateResponse(speech=self._speech(segment, target))

    def _speech(self, segment: mt.Segment, target: mt.Target) -> mt.Speech:
        return mt.Speech(
            segment=segment.segment,
            language=target.language,
            pcm=sound(self.script.speech_ms),
            sample_rate_hz=SPEECH_RATE_HZ,
            opus=self.script.opus if target.opus else b"",
            duration_ms=self.script.speech_ms,
        )

    @staticmethod
    def _failure(
        segment: mt.Segment, target: mt.Target, component: "mt.Component.ValueType"
    ) -> mt.StreamingTranslateResponse:
        return mt.StreamingTranslateResponse(
            failure=mt.Failure(
                segment=segment.segment,
                revision=segment.revision,
                language=target.language,
                component=component,
                reason="SERVICE_UNAVAILABLE",
                is_final=segment.is_final,
            )
        )


def sound(ms: int) -> bytes:
    """So many ms of a sound that is no silence."""
    return b"\x10\x20" * (SPEECH_RATE_HZ * ms // 1000)
