"""One connection to Amazon Transcribe: the library's client, with what it needs to be lived with.

Each stream has a client, and so a connection, of its own: closing that is the only way to abandon a stream,
and what breaks one does not touch the others. Of the library's inner parts, three are replaced per client
and nothing is patched: the serializer, for a body that does not spin; the sessions, whose responses fail at
once when the connection does; the credentials, which stay the same for a stream.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol

from amazon_transcribe.auth import StaticCredentialResolver
from amazon_transcribe.client import TranscribeStreamingClient
from amazon_transcribe.endpoints import StaticEndpointResolver
from amazon_transcribe.eventstream import ParserError
from amazon_transcribe.httpsession import AwsCrtHttpResponse, AwsCrtHttpSessionManager
from amazon_transcribe.model import (
    StartStreamTranscriptionEventStream,
    StartStreamTranscriptionRequest,
    TranscriptEvent,
)
from amazon_transcribe.request import Request
from amazon_transcribe.serialize import TranscribeStreamingSerializer
from amazon_transcribe.structures import BufferableByteStream

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.engines.amazon.credentials import KeySource
from transcription_svc.engines.amazon.faults import BrokenConnection
from transcription_svc.engines.amazon.hearing import Result

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NAP_S: Final = 0.005
"""How long all idle streams of a process together keep a thread of the network library asleep."""
MAX_QUEUED_BYTES: Final = 2 * 2 * SAMPLE_RATE_HZ
"""Audio that waits for the network at most, 2 s; more waits with who sends it."""
STUCK_S: Final = 5.0
"""A connection that takes no audio for so long is broken."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a connection is asked for."""

    locale: str
    stability: str
    """high, medium or low."""


class Connection(Protocol):
    """A connection that was accepted."""

    async def send(self, pcm: bytes) -> None:
        """Queue audio. Raises: one of `faults.FAILURES`."""
        ...

    async def end(self) -> None:
        """Say that no more audio comes. Raises: one of `faults.FAILURES`."""
        ...

    def results(self) -> AsyncIterator[Result | None]:
        """What is heard, None for a sign of life without text; ends when all audio is answered.

        Raises: one of `faults.FAILURES`, also when it ends before `end` was said.
        """
        ...

    def close(self) -> None:
        """Give the connection up; idempotent."""
        ...


class Connector(Protocol):
    """Opens connections."""

    async def connect(self, wanted: Wanted) -> Connection:
        """Open one. Raises: one of `faults.FAILURES`."""
        ...


@dataclass(slots=True)
class Rest:
    """How long a body with nothing to read keeps the reader: a share of NAP_S, since they take turns."""

    nap_s: float = NAP_S
    streams: int = 0

    @property
    def share_s(self) -> float:
        """The share of one of them."""
        return self.nap_s / max(1, self.streams)


class RestingBody(BufferableByteStream):
    """A request's body that waits a moment for data before it says that there is none.

    The network library asks again at once, so without this a core does nothing but ask. `read` runs in a
    thread of that library, everything else in the event loop's.
    """

    def __init__(self, rest: Rest) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rest = rest
        self._written = threading.Event()
        self._lock = threading.Lock()
        self._queued = 0
        self._loop = asyncio.get_running_loop()
        self._room: asyncio.Event | None = None
        self.ended = False
        """Whether no more bytes come."""

    def read(self, size: int | None = -1) -> bytes:
        """Bytes that were written. Raises: BlockingIOError when there are none."""
        if not self._byte_chunks and not self._written.wait(self._rest.share_s):
            raise BlockingIOError("read")
        self._written.clear()
        data = super().read(-1 if size is None else size) or b""
        with self._lock:
            self._queued -= len(data)
            if self._queued or self.ended:
                self._written.set()
            if self._room is not None and self._queued <= MAX_QUEUED_BYTES:
                self._loop.call_soon_threadsafe(self._room.set)
                self._room = None
        return data

    async def room(self) -> None:
        """Wait until less than MAX_QUEUED_BYTES wait. Raises: BrokenConnection after STUCK_S."""
        with self._lock:
            if self._queued <= MAX_QUEUED_BYTES:
                return
            room = self._room = asyncio.Event()
        try:
            async with asyncio.timeout(STUCK_S):
                await room.wait()
        except TimeoutError as error:
            raise BrokenConnection("the connection takes no audio") from error
        finally:
            with self._lock:
                self._room = None

    def write(self, b: "ReadableBuffer") -> int:
        """Queue bytes."""
        written = super().write(b)
        with self._lock:
            self._queued += written
        self._written.set()
        return written

    def end_stream(self) -> None:
        """No more bytes come."""
        super().end_stream()  # type: ignore[no-untyped-call]
        self.ended = True
        self._written.set()

    def close(self) -> None:
        """No more bytes come, and those queued need not go out."""
        super().close()  # type: ignore[no-untyped-call]
        self.ended = True
        self._written.set()


class _Serializer(TranscribeStreamingSerializer):
    """Requests with a resting body."""

    def __init__(self, body: RestingBody) -> None:
        self._body = body

    def serialize_start_stream_transcription_request(
        self, endpoint: str, request_shape: StartStreamTranscriptionRequest
    ) -> Request:
        """The request of a stream."""
        request = super().serialize_start_stream_transcription_request(endpoint, request_shape)
        request.body = self._body
        return request


class _Sessions(AwsCrtHttpSessionManager):
    """Responses of which nothing waits for ever once their connection is gone."""

    async def make_request(
        self,
        url: str,
        method: str = "GET",
        headers: list[tuple[str, str]] | None = None,
        body: bytes | BytesIO | None = None,
    ) -> AwsCrtHttpResponse:
        """Send a request."""
        response = await super().make_request(url, method=method, headers=headers, body=body)
        if response._stream is not None:
            response._stream.completion_future.add_done_callback(lambda done: _fail_headers(response, done))
        return response

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()


def _fail_headers(response: AwsCrtHttpResponse, done: "Future[int]") -> None:
    error = done.exception() or BrokenConnection("no response")
    for future in (response._status_code_future, response._headers_future):
        if not future.done():
            future.set_exception(error)


@dataclass(slots=True)
class AmazonConnection:
    """An accepted stream."""

    stream: StartStreamTranscriptionEventStream
    body: RestingBody
    _close: Callable[[], None]
    _ended: bool = False

    async def send(self, pcm: bytes) -> None:
        """Queue audio."""
        await self.body.room()
        await self.stream.input_stream.send_audio_event(audio_chunk=pcm)

    async def end(self) -> None:
        """Say that no more audio comes."""
        self._ended = True
        await self.stream.input_stream.end_stream()  # type: ignore[no-untyped-call]

    async def results(self) -> AsyncIterator[Result | None]:
        """What is heard."""
        events = self.stream.output_stream.__aiter__()  # type: ignore[no-untyped-call]
        async with contextlib.aclosing(events):
            while True:
                try:
                    event = await anext(events, None)
                except (ParserError, ValueError, TypeError, AttributeError) as error:
                    raise BrokenConnection("an answer makes no sense") from error
                if event is None:
                    break
                yield None
                if isinstance(event, TranscriptEvent):
                    for result in event.transcript.results:
                        yield result
        # the library ends the events in the same way when the connection is lost
        await self.stream.output_stream._raw_stream.done
        if not self._ended:
            raise BrokenConnection("the stream was ended early")

    def close(self) -> None:
        """Give the connection up."""
        response = self.stream.output_stream._raw_stream
        with response._chunk_lock:
            # the library trips over those that nobody waits for any more
            waiting, response._chunk_futures = response._chunk_futures, []
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(b"")
        self._close()


@dataclass(slots=True)
class AmazonConnector:
    """Opens connections in one region."""

    region: str
    keys: KeySource
    endpoint: str = ""
    """In place of the region's own; https."""
    rest: Rest = field(default_factory=Rest)

    async def connect(self, wanted: Wanted) -> AmazonConnection:
        """Open a connection. Raises: one of `faults.FAILURES`."""
        keys = await self.keys.keys()
        resolver = StaticCredentialResolver(keys.access_key_id, keys.secret_access_key, keys.session_token)
        body = RestingBody(self.rest)
        # making a client reads the certificates of all authorities
        client, sessions = await asyncio.to_thread(self._client, resolver, body)
        self.rest.streams += 1

        def close() -> None:
            if not body.closed:
                body.close()
                sessions.close()
                self.rest.streams -= 1

        try:
            stream = await client.start_stream_transcription(
                language_code=wanted.locale,
                media_sample_rate_hz=SAMPLE_RATE_HZ,
                media_encoding="pcm",
                enable_partial_results_stabilization=True,
                partial_results_stability=wanted.stability,
            )
        except RuntimeError as error:
            close()
            raise BrokenConnection("unexpected status") from error
        except BaseException:
            close()
            raise
        return AmazonConnection(stream, body, close)

    def _client(
        self, resolver: StaticCredentialResolver, body: RestingBody
    ) -> tuple[TranscribeStreamingClient, _Sessions]:
        client = TranscribeStreamingClient(
            region=self.region,
            endpoint_resolver=StaticEndpointResolver(self.endpoint) if self.endpoint else None,  # type: ignore[no-untyped-call]
            credential_resolver=resolver,
        )
        sessions = _Sessions(client._eventloop)  # type: ignore[no-untyped-call]
        client._serializer = _Serializer(body)
        client._session_manager = sessions
        return client, sessions
