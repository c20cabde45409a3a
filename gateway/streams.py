"""The two long conversations of a session's owner, each as an object that is opened, fed and iterated."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast

import grpc
from google.protobuf.message import Message

from babelcast.errors import BabelcastError, ServiceUnavailable, is_moving
from babelcast.rpc.timing import Conversation, called
from babelcast.telemetry.tracing import metadata
from babelcast.transcription.v1 import transcription_pb2 as transcription_api
from babelcast.transcription.v1.transcription_pb2_grpc import TranscriptionServiceStub
from babelcast.translation.v1 import translation_pb2 as translation_api
from babelcast.translation.v1.translation_pb2_grpc import TranslationServiceStub
from gateway import measuring

if TYPE_CHECKING:  # the asynchronous stubs exist in the type stubs only
    from babelcast.transcription.v1.transcription_pb2_grpc import TranscriptionServiceAsyncStub
    from babelcast.translation.v1.translation_pb2_grpc import TranslationServiceAsyncStub

OPEN_DEADLINE_S = 10.0
WRITE_DEADLINE_S = 5.0
# A transcription that is busy takes no audio while it recognises. One that is given up for that has all of it
# to do again, on a machine that was too busy before.
AUDIO_DEADLINE_S = 20.0

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT", bound=Message)


class ServiceStream(Generic[RequestT, ResponseT]):
    """One stream, from its config to `ended`. Leaving the context cancels whatever is not finished."""

    def __init__(
        self,
        call: grpc.aio.StreamStreamCall[RequestT, ResponseT],
        *,
        method: str,
        write_deadline_s: float = WRITE_DEADLINE_S,
    ) -> None:
        """`method` is Service/Method."""
        self._timing = Conversation(method)
        self._call: grpc.aio.StreamStreamCall[RequestT, ResponseT] = call
        self._write_deadline_s = write_deadline_s

    async def open(self, config: RequestT) -> ResponseT:
        """Send the config and wait for `started`, which is returned.

        Raises: BabelcastError as the service says; ServiceUnavailable when it says nothing in time.
        """
        try:
            async with asyncio.timeout(OPEN_DEADLINE_S):
                with self._timing.domain_errors():
                    await self._call.write(config)
                    response = await self._call.read()
        except (TimeoutError, asyncio.InvalidStateError) as error:
            self._timing.over(grpc.StatusCode.DEADLINE_EXCEEDED)
            self._call.cancel()
            raise ServiceUnavailable("The stream did not start in time.") from error
        except asyncio.CancelledError:
            self.cancel()
            raise
        if response is grpc.aio.EOF or not cast("Message", response).HasField("started"):
            self.cancel()
            raise ServiceUnavailable("The stream did not start.")
        return cast("ResponseT", response)

    async def send(self, request: RequestT) -> None:
        """Send one message.

        Raises: BabelcastError as the service says when it ended the stream; ServiceUnavailable when it takes
        nothing within its deadline.
        """
        try:
            async with asyncio.timeout(self._write_deadline_s):
                with self._timing.domain_errors():
                    await self._call.write(request)
        except (TimeoutError, asyncio.InvalidStateError) as error:
            if self._call.done():
                with self._timing.domain_errors():
                    await self._call.read()  # of a call that is over: raises what it ended with
            self._timing.over(grpc.StatusCode.DEADLINE_EXCEEDED)
            self._call.cancel()
            raise ServiceUnavailable("The stream takes no more.") from error

    async def __aiter__(self) -> AsyncIterator[ResponseT]:
        """Everything up to `ended`.

        Raises: BabelcastError when the stream was cut before it.
        """
        while True:
            with self._timing.domain_errors():
                response = await self._call.read()
            if response is grpc.aio.EOF:
                raise ServiceUnavailable("The stream was cut.")
            message = cast("ResponseT", response)  # the stubs do not tell EOF from a message
            if message.HasField("ended"):
                self._timing.over(grpc.StatusCode.OK)
                return
            yield message

    def cancel(self) -> None:
        """Give the stream up; idempotent."""
        self._timing.over(grpc.StatusCode.CANCELLED)
        self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


TranscriptionStream = ServiceStream[
    transcription_api.StreamingTranscribeRequest, transcription_api.StreamingTranscribeResponse
]
TranslationStream = ServiceStream[
    translation_api.StreamingTranslateRequest, translation_api.StreamingTranslateResponse
]


class Stations:
    """Where streams are opened, and what languages they take."""

    def __init__(self, transcription: grpc.aio.Channel, translation: grpc.aio.Channel) -> None:
        self.transcription_engine = ""
        """Who transcribes, as the last stream that started said."""
        self._transcription: TranscriptionServiceAsyncStub = TranscriptionServiceStub(transcription)
        self._translation: TranslationServiceAsyncStub = TranslationServiceStub(translation)

    async def transcribe(self, config: transcription_api.StreamConfig) -> TranscriptionStream:
        """A transcription stream that has started. Raises: BabelcastError, also when there is no room."""
        stream: TranscriptionStream = ServiceStream(
            self._transcription.StreamingTranscribe(metadata=metadata()),
            method="TranscriptionService/StreamingTranscribe",
            write_deadline_s=AUDIO_DEADLINE_S,
        )
        first = await _opened(
            stream, transcription_api.StreamingTranscribeRequest(config=config), "transcription"
        )
        self.transcription_engine = first.started.engine
        return stream

    async def translate(self, config: translation_api.StreamConfig) -> TranslationStream:
        """A translation stream that has started. Raises: BabelcastError."""
        stream: TranslationStream = ServiceStream(
            self._translation.StreamingTranslate(metadata=metadata()),
            method="TranslationService/StreamingTranslate",
        )
        await _opened(stream, translation_api.StreamingTranslateRequest(config=config), "translation")
        return stream

    async def source_languages(self) -> Sequence[str]:
        """What can be spoken. Raises: ServiceUnavailable."""
        with called("TranscriptionService/GetCapabilities"):
            request = transcription_api.GetCapabilitiesRequest()
            return sorted((await self._transcription.GetCapabilities(request, timeout=5)).languages)

    async def target_languages(self) -> dict[str, Sequence[str]]:
        """What each source can be heard in. Raises: ServiceUnavailable."""
        with called("TranslationService/ListLanguages"):
            request = translation_api.ListLanguagesRequest()
            answer = await self._translation.ListLanguages(request, timeout=5)
        return {source: list(targets.languages) for source, targets in answer.targets.items()}


async def _opened(stream: ServiceStream[RequestT, ResponseT], config: RequestT, station: str) -> ResponseT:
    """Open a stream, and count it when it cannot be: a replica that is about to stop is no failure."""
    try:
        return await stream.open(config)
    except BabelcastError as error:
        if not is_moving(error):
            measuring.broke(station, "start", error)
        raise
