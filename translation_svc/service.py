"""The gRPC face of the service."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import grpc

from babelcast import languages, logs
from babelcast.channel import Channel
from babelcast.errors import CapacityExhausted, InvalidMessage, Moving
from babelcast.prices import Prices, published
from babelcast.translation.v1 import translation_pb2 as pb
from babelcast.translation.v1 import translation_pb2_grpc
from translation_svc.cost import Meter
from translation_svc.glossary_file import DeploymentGlossary
from translation_svc.governor import VOICE_LAG_S
from translation_svc.interpreter import Interpreter
from translation_svc.segments import Answer, Segment
from translation_svc.stream import Stream, StreamCut, StreamSettings
from translation_svc.wire import read_glossary, read_segment, read_tier, write_answer, write_usage

SERVICE_NAME = "babelcast.translation.v1.TranslationService"
# Answers wait here for the network. When it is full, lanes wait: an owner who does not read gets no more.
_ANSWERS_WAITING = 64

Request: TypeAlias = pb.StreamingTranslateRequest
Response: TypeAlias = pb.StreamingTranslateResponse


class TranslationServicer(translation_pb2_grpc.TranslationServiceServicer):
    """Serves streams from one interpreter."""

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        max_streams: int,
        segment_timeout_s: float,
        voice_lag_s: float = VOICE_LAG_S,
        prices: Prices | None = None,
        glossary: DeploymentGlossary | None = None,
        translates_partials: Callable[[str, str], bool] = lambda _source, _target: True,
    ) -> None:
        """`prices` are those of the package if none are given."""
        self._interpreter = interpreter
        self._max_streams = max_streams
        self._segment_timeout_s = segment_timeout_s
        self._voice_lag_s = voice_lag_s
        self._prices = prices or published()
        self._glossary = glossary or DeploymentGlossary({})
        self._translates_partials = translates_partials
        self._draining = asyncio.Event()
        self._open = 0
        self._work: set[asyncio.Task[bool]] = set()

    def drain(self) -> None:
        """Take no more streams; those that are open finish what they have and end with Moving."""
        self._draining.set()

    async def aclose(self) -> None:
        """Cancel the streams that are still open and wait for their tasks."""
        self.drain()
        for work in self._work:
            work.cancel()
        if self._work:
            await asyncio.wait(self._work)

    async def StreamingTranslate(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[Request], context: grpc.aio.ServicerContext[Request, Response]
    ) -> AsyncIterator[Response]:
        """One stream; see the proto."""
        if self._draining.is_set():
            raise Moving
        if self._open >= self._max_streams:
            raise CapacityExhausted(f"All {self._max_streams} translation streams are taken.")
        self._open += 1
        answers: Channel[Answer] = Channel(_ANSWERS_WAITING)
        meter = Meter(self._prices)
        try:
            config = await _first(request_iterator)
            logs.bind(session=config.session_id)
            stream = self._open_stream(config, answers, meter)
            yield Response(started=pb.StreamStarted())
            work = asyncio.create_task(_work(stream, request_iterator, answers), name="translation stream")
            self._work.add(work)
            work.add_done_callback(self._work.discard)
            context.add_done_callback(lambda _context: _cancel(work))  # type: ignore[arg-type]  # stub wants its own class
            try:
                async for answer in answers:
                    yield _telling(write_answer(answer), meter)
                if not work.cancelled() and await work:
                    yield _telling(Response(ended=pb.StreamEnded()), meter)
            finally:
                work.cancel()
        finally:
            self._open -= 1

    async def ListLanguages(  # noqa: N802 - gRPC's name
        self,
        request: pb.ListLanguagesRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext[pb.ListLanguagesRequest, pb.ListLanguagesResponse],  # noqa: ARG002
    ) -> pb.ListLanguagesResponse:
        """All routes that are installed, and who speaks."""
        interpreter = self._interpreter
        targets = {source: interpreter.targets(source) for source in interpreter.sources()}
        voices = {
            language: interpreter.voices(language)
            for language in sorted({*targets, *(target for each in targets.values() for target in each)})
        }
        return pb.ListLanguagesResponse(
            targets={source: pb.TargetLanguages(languages=into) for source, into in targets.items()},
            voices={language: pb.Voices(names=names) for language, names in voices.items() if names},
        )

    def _open_stream(self, config: pb.StreamConfig, answers: Channel[Answer], meter: Meter) -> Stream:
        source = languages.normalise(config.source_language, parameter="sourceLanguage")
        settings = StreamSettings(
            source=source,
            glossary=read_glossary(config).over(self._glossary.spoken(source)),
            translates_partials=functools.partial(self._translates_partials, source),
            segment_timeout_s=self._segment_timeout_s,
            voice_lag_s=self._voice_lag_s,
            tier=read_tier(config),
        )
        return Stream(
            settings,
            interpreter=self._interpreter,
            emit=answers.send,
            draining=self._draining,
            tally=meter.take,
        )


def _telling(response: Response, meter: Meter) -> Response:
    """The response, with what engines did since the last one."""
    response.usage.extend(map(write_usage, meter.drain()))
    return response


def _cancel(work: asyncio.Task[bool]) -> None:
    """The call is over, however it ended: what is still open has no reader."""
    work.cancel()


async def _work(stream: Stream, requests: AsyncIterator[Request], answers: Channel[Answer]) -> bool:
    """Run the stream; whether it came to its end (and was not cut)."""
    try:
        await stream.run(_segments(requests, stream))
    except* StreamCut:
        return_value = False
    else:
        return_value = True
    finally:
        answers.close()
    return return_value


async def _first(requests: AsyncIterator[Request]) -> pb.StreamConfig:
    async for request in requests:
        if request.WhichOneof("payload") == "config":
            return request.config
        break
    raise InvalidMessage("A stream begins with its config.")


async def _segments(requests: AsyncIterator[Request], stream: Stream) -> AsyncIterator[Segment]:
    """The segments up to the end. Raises: StreamCut without one, InvalidMessage for anything else."""
    async for request in requests:
        kind = request.WhichOneof("payload")
        if kind == "end":
            return
        if kind == "expected":
            stream.expect(request.expected.languages)
            continue
        if kind != "segment":
            raise InvalidMessage("After the config come segments, then the end.")
        yield read_segment(request.segment)
    raise StreamCut
