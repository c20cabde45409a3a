"""The speaker's side of a session."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random
from types import TracebackType
from typing import Self

from babelcast.client import address
from babelcast.client.connection import Connection
from babelcast.client.events import Event, Incoming
from babelcast.client.link import Link, OnMessage
from babelcast.client.sending import AudioSender
from babelcast.client.settings import ClientSettings
from babelcast.errors import InvalidAudioFormat, ServiceUnavailable
from babelcast.pcm import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
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
    SetVolume,
)
from babelcast.protocol.server_messages import (
    BroadcastControlled,
    ConnectionRefreshComplete,
    Error,
    Languages,
    SessionCreated,
    SessionEnded,
    SessionStatus,
    Transcript,
    VolumeChanged,
)


class Speaker:
    """One who talks.

        async with await Speaker.connect(url, token=token) as speaker:
            session = await speaker.create_session("en")
            for chunk in chunks:            # 100 ms each, at the pace of speech
                await speaker.send_audio(chunk)
            await speaker.end()

    Iterating over the speaker, once, yields events until the session ends. A lost connection is made again
    and the session taken over: what may not have arrived is sent again, then what was said meanwhile. Sound
    that waited for longer than the settings allow is given up, the oldest first, with an AudioDropped.
    """

    def __init__(self, link: Link, sender: AudioSender, *, settings: ClientSettings, token: str) -> None:
        """Use `connect`."""
        self.session: SessionCreated | None = None
        self._link = link
        self._sender = sender
        self._settings = settings
        self._token = token
        self._resume_token = ""
        self._writer = asyncio.create_task(sender.run(), name="babelcast-client-audio")

    @classmethod
    async def connect(
        cls,
        url: str | Sequence[str],
        *,
        token: str = "",
        settings: ClientSettings | None = None,
        random: Random | None = None,
    ) -> Self:
        """Connect to a gateway, e.g. ws://127.0.0.1:8080, or to the first that answers of several that serve
        the same sessions.

        Raises: Unauthorized for a bad token, ServiceUnavailable, InvalidParameter for a bad address.
        """
        settings = settings or ClientSettings()

        async def dial(target: str, on_message: OnMessage) -> Connection:
            return await Connection.open(target, token=token, settings=settings, on_message=on_message)

        def sift(incoming: Incoming, answers: bool) -> list[Event]:
            return _sift(sender, incoming, answers=answers)

        random = random or Random()  # noqa: S311 - jitter
        link = Link(address.several(url), dial, sift=sift, settings=settings, random=random)
        sender = AudioSender(settings=settings, on_dropped=link.offer)
        await link.start()
        return cls(link, sender, settings=settings, token=token)

    @property
    def url(self) -> str:
        """The gateway that this speaker is, or was last, connected to."""
        return self._link.url

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
        connection = await self._link.connection()
        session = await connection.request(message, SessionCreated)
        self.session = session
        self._resume_token = session.resume_token
        self._link.resume = self._resume
        self._sender.begin(connection)
        return session

    async def send_audio(self, pcm: bytes, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """Queue a piece of signed 16-bit little-endian mono PCM; 100 ms is a good size.

        Never waits for the network. The sample rate (8000, 16000, 24000 or 48000) is declared once and stays.
        What was given before the session began goes when it does.

        Raises: InvalidAudioFormat when there is no whole number of samples, ServiceUnavailable or what ended
        the session when the connection is gone for good.
        """
        if len(pcm) % BYTES_PER_SAMPLE:
            raise InvalidAudioFormat(
                "Samples have two bytes: there is an odd number of bytes.", size=len(pcm)
            )
        if self._link.over.is_set():
            raise self._link.failure or ServiceUnavailable("The connection is closed.")
        if pcm:
            self._sender.add(pcm, sample_rate_hz=sample_rate_hz)

    async def flush(self, *, timeout_s: float | None = None) -> None:
        """Wait until everything queued has been handed to the connection, for the settings' usual time unless
        said otherwise; or until the session is over.

        Raises: ServiceUnavailable when that takes too long, what ended the connection when it is gone.
        """
        waits = [
            asyncio.ensure_future(self._sender.flushed()),
            asyncio.ensure_future(self._link.over.wait()),
        ]
        try:
            done, _ = await asyncio.wait(
                waits,
                timeout=timeout_s or self._settings.request_timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for wait in waits:
                wait.cancel()
        if not done:
            raise ServiceUnavailable("The audio could not be sent in time.")
        if self._sender.pending and self._link.failure is not None:
            raise self._link.failure

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
        await self.flush(timeout_s=self._settings.end_timeout_s)
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
        async with self._sender.moving():
            done = await connection.request(message, ConnectionRefreshComplete)
            self._resume_token = done.resume_token
            self._sender.moved(connection, done.last_audio_sequence)


def _sift(sender: AudioSender, incoming: Incoming, *, answers: bool) -> list[Event]:
    """Answers go to those who asked; the end of the session interests the iterator too. What is said about a
    chunk that goes again is no event.
    """
    if isinstance(incoming, Error) and sender.refused(incoming):
        return []
    return [] if answers and not isinstance(incoming, SessionEnded) else [incoming]
