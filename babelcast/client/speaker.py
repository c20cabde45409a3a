"""The speaker's side of a session."""

import asyncio
import base64
from collections.abc import AsyncIterator
from random import Random
from types import TracebackType
from typing import Self

from babelcast.channel import Channel
from babelcast.client import address
from babelcast.client.connection import Connection
from babelcast.client.events import AudioDropped, Event, Incoming
from babelcast.client.link import Link, OnMessage
from babelcast.client.settings import ClientSettings
from babelcast.errors import BabelcastError, ServiceUnavailable
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.protocol.client_messages import (
    ControlAction,
    ControlBroadcast,
    CreateSession,
    EditTranscript,
    EndSession,
    GetSessionStatus,
    Glossary,
    ListLanguages,
    QualityTier,
    RefreshConnection,
    SendAudio,
    SetVolume,
)
from babelcast.protocol.server_messages import (
    BroadcastControlled,
    ConnectionRefreshComplete,
    Languages,
    SessionCreated,
    SessionEnded,
    SessionStatus,
    Transcript,
    VolumeChanged,
)

MAX_CHUNK_BYTES = 32 * 1024


class Speaker:
    """One who talks.

        async with await Speaker.connect(url, token=token) as speaker:
            session = await speaker.create_session("en")
            for chunk in chunks:            # 100 ms each, at the pace of speech
                await speaker.send_audio(chunk)
            await speaker.end()

    Iterating over the speaker yields events until the session ends. A lost connection is made again and the
    session taken over; up to `audio_capacity` chunks wait meanwhile, then the oldest go (AudioDropped).
    """

    def __init__(self, link: Link, *, settings: ClientSettings, token: str) -> None:
        """Use `connect`."""
        self.session: SessionCreated | None = None
        self._link = link
        self._settings = settings
        self._token = token
        self._resume_token = ""
        self._sample_rate_hz = SAMPLE_RATE_HZ
        self._largest_chunk = 0
        self._outgoing: Channel[bytes] = Channel(settings.audio_capacity)
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._declared_on: Connection | None = None
        self._writer = asyncio.create_task(self._write(), name="babelcast-client-audio")

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        token: str = "",
        settings: ClientSettings | None = None,
        random: Random | None = None,
    ) -> Self:
        """Connect to a gateway, e.g. ws://127.0.0.1:8080.

        Raises: Unauthorized for a bad token, ServiceUnavailable, InvalidParameter for a bad address.
        """
        settings = settings or ClientSettings()
        target = address.normalise(url)

        async def dial(on_message: OnMessage) -> Connection:
            return await Connection.open(target, token=token, settings=settings, on_message=on_message)

        link = Link(dial, sift=_sift, settings=settings, random=random or Random())  # noqa: S311 - jitter
        await link.start()
        return cls(link, settings=settings, token=token)

    async def create_session(
        self,
        source_language: str,
        *,
        quality_tier: QualityTier = "standard",
        partial_results: bool = True,
        min_stability: float = 0.85,
        max_buffer_timeout_s: float = 5.0,
        glossary: Glossary | None = None,
    ) -> SessionCreated:
        """Start a session; its `session_id` is the code that listeners join with.

        Raises: RemoteError (UNAUTHORIZED, UNSUPPORTED_LANGUAGE, SERVICE_UNAVAILABLE, ...).
        """
        message = CreateSession(
            source_language=source_language,
            quality_tier=quality_tier,
            partial_results=partial_results,
            min_stability=min_stability,
            max_buffer_timeout=max_buffer_timeout_s,
            glossary=glossary or {},
        )
        session = await self._link.request(message, SessionCreated)
        self.session = session
        self._resume_token = session.resume_token
        self._link.resume = self._resume
        return session

    async def send_audio(self, pcm: bytes, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """Queue a piece of signed 16-bit little-endian mono PCM, 100 bytes to 32 KiB.

        Never waits for the network. The sample rate is declared once and stays.

        Raises: ServiceUnavailable when the connection is gone for good.
        """
        if self._writer.done():
            raise self._link.failure or ServiceUnavailable("The connection is closed.")
        self._sample_rate_hz = sample_rate_hz
        self._largest_chunk = max(self._largest_chunk, len(pcm))
        self._flushed.clear()
        gone = self._outgoing.send_dropping_oldest(pcm)
        if gone is not None:
            self._link.offer(AudioDropped(len(gone)))

    async def flush(self) -> None:
        """Wait until everything queued has been handed to the connection.

        Raises: ServiceUnavailable when that takes too long.
        """
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await self._flushed.wait()
        except TimeoutError as error:
            raise ServiceUnavailable("The audio could not be sent in time.") from error

    async def control(self, action: ControlAction) -> BroadcastControlled:
        """Pause, resume, mute or unmute, after the audio queued so far."""
        await self.flush()
        return await self._link.request(
            ControlBroadcast(control_action=action, session_id=self._code()), BroadcastControlled
        )

    async def set_volume(self, level: float) -> VolumeChanged:
        """Scale the voice, 0.0 to 1.0."""
        return await self._link.request(SetVolume(volume_level=level, session_id=self._code()), VolumeChanged)

    async def edit(self, segment_id: str, text: str) -> Transcript:
        """Correct a sentence that was said."""
        message = EditTranscript(segment_id=segment_id, text=text, session_id=self._code())
        return await self._link.request(message, Transcript)

    async def status(self) -> SessionStatus:
        """How the session stands."""
        return await self._link.request(GetSessionStatus(session_id=self._code()), SessionStatus)

    async def languages(self) -> Languages:
        """What can be spoken, and what each can be heard in."""
        return await self._link.request(ListLanguages(), Languages)

    async def end(self, reason: str = "speakerEnded") -> SessionEnded:
        """End the session for everybody, after everything said so far has been delivered."""
        await self.flush()
        return await self._link.request(
            EndSession(session_id=self._code(), reason=reason),
            SessionEnded,
            timeout_s=self._settings.end_timeout_s,
        )

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Events until the session ends.

        Raises: BabelcastError when the connection is lost for good.
        """
        async for event in self._link.events():
            yield event

    async def aclose(self) -> None:
        """Let go of the connection; the session stays for its grace period. Idempotent."""
        self._outgoing.close()
        self._writer.cancel()
        await asyncio.wait([self._writer])
        await self._link.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _code(self) -> str:
        return "" if self.session is None else self.session.session_id

    async def _resume(self, connection: Connection) -> None:
        message = RefreshConnection(
            session_id=self._code(), resume_token=self._resume_token, token=self._token
        )
        done = await connection.request(message, ConnectionRefreshComplete)
        self._resume_token = done.resume_token

    async def _write(self) -> None:
        """Send what is queued; after a delay several chunks go as one, which spares the rate limit."""
        async for first in self._outgoing:
            chunk = first
            while len(self._outgoing) and len(chunk) + self._largest_chunk <= MAX_CHUNK_BYTES:
                chunk += await self._outgoing.receive()
            if not await self._deliver(chunk):
                break
            if not len(self._outgoing):
                self._flushed.set()
        self._flushed.set()

    async def _deliver(self, chunk: bytes) -> bool:
        """Hand a chunk to whichever connection there is; False when there will be none."""
        while True:
            try:
                connection = await self._link.connection()
            except BabelcastError:
                return False
            try:
                await self._send(connection, chunk)
            except ServiceUnavailable:
                await connection.wait_closed()  # the next one takes it
            else:
                return True

    async def _send(self, connection: Connection, chunk: bytes) -> None:
        """A binary frame; the first of a connection at an unusual rate is JSON, which can say so."""
        if self._sample_rate_hz == SAMPLE_RATE_HZ or self._declared_on is connection:
            await connection.send_bytes(chunk)
            return
        await connection.send(
            SendAudio(audio_data=base64.b64encode(chunk).decode(), sample_rate=self._sample_rate_hz)
        )
        self._declared_on = connection


def _sift(incoming: Incoming, answers: bool) -> list[Event]:
    """Answers go to those who asked; the end of the session interests the iterator too."""
    return [] if answers and not isinstance(incoming, SessionEnded) else [incoming]
