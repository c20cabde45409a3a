"""A listener's side of a session."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from types import TracebackType
from typing import Self

from babelcast.client import address
from babelcast.client.captions import CaptionTracker
from babelcast.client.connection import Connection
from babelcast.client.events import Event, Incoming, SequenceGap, Voice
from babelcast.client.link import Link, OnMessage
from babelcast.client.sequence import Place, SequenceTracker
from babelcast.client.settings import ClientSettings
from babelcast.protocol.client_messages import (
    AudioChoice,
    CaptionChoice,
    ChangeLanguage,
    DeliveryChoice,
    GetSessionStatus,
    JoinSession,
    ListLanguages,
    PausePlayback,
    RefreshConnection,
    ResumePlayback,
)
from babelcast.protocol.server_messages import (
    Caption,
    ConnectionRefreshComplete,
    LanguageChanged,
    Languages,
    PlaybackPaused,
    PlaybackResumed,
    SessionEnded,
    SessionJoined,
    SessionStatus,
    SpokenOver,
    Transcript,
)


@dataclass(frozen=True, slots=True)
class _Seat:
    """What was asked for when joining; asked for again after a reconnection."""

    session_id: str
    language: str
    audio: AudioChoice
    delivery: DeliveryChoice
    captions: CaptionChoice


class Listener:
    """One who listens.

        async with await Listener.connect(url) as listener:
            await listener.join("golden-eagle-427", "es")
            async for event in listener:
                match event:
                    case Caption(text=text): ...
                    case Voice(message=message, audio=audio): ...

    Iterate once. `Voice` carries decoded audio whichever delivery was chosen. After a lost connection the
    listener comes back by itself and gets what it missed: each voice once and in order, each final caption
    once. `SequenceGap` says when voice is missing all the same.
    """

    def __init__(self, link: Link, tracks: "_Tracks") -> None:
        """Use `connect`."""
        self.session: SessionJoined | None = None
        self._link = link
        self._tracks = tracks
        self._seat: _Seat | None = None
        self._resume_token = ""

    @classmethod
    async def connect(
        cls,
        url: str | Sequence[str],
        *,
        settings: ClientSettings | None = None,
        random: Random | None = None,
    ) -> Self:
        """Connect to a gateway, e.g. ws://127.0.0.1:8080, or to the first that answers of several that serve
        the same sessions.

        Raises: ServiceUnavailable, RateLimitExceeded, InvalidParameter for a bad address.
        """
        settings = settings or ClientSettings()
        tracks = _Tracks(SequenceTracker(), CaptionTracker(settings.caption_memory))

        async def dial(target: str, on_message: OnMessage) -> Connection:
            return await Connection.open(target, token="", settings=settings, on_message=on_message)

        def sift(incoming: Incoming, answers: bool) -> list[Event]:
            return _sift(tracks, incoming, answers=answers)

        random = random or Random()  # noqa: S311 - jitter
        link = Link(address.several(url), dial, sift=sift, settings=settings, random=random)
        await link.start()
        return cls(link, tracks)

    async def join(
        self,
        session_id: str,
        language: str,
        *,
        audio: AudioChoice = "pcm",
        delivery: DeliveryChoice = "binary",
        captions: CaptionChoice = "partial",
    ) -> SessionJoined:
        """Listen to a session in a language.

        Raises: RemoteError (SESSION_NOT_FOUND, UNSUPPORTED_LANGUAGE, SESSION_FULL, ...).
        """
        message = JoinSession(
            session_id=session_id, target_language=language, audio=audio, delivery=delivery, captions=captions
        )
        joined = await self._link.request(message, SessionJoined)
        self.session = joined
        self._seat = _Seat(joined.session_id, joined.target_language, audio, delivery, captions)
        self._resume_token = joined.resume_token
        self._link.resume = self._resume
        return joined

    async def change_language(self, language: str) -> LanguageChanged:
        """Go on listening in another language."""
        changed = await self._link.request(ChangeLanguage(target_language=language), LanguageChanged)
        if self._seat is not None:
            self._seat = replace(self._seat, language=changed.target_language)
        return changed

    async def pause_playback(self) -> PlaybackPaused:
        """No voice from now on; captions go on."""
        paused = await self._link.request(PausePlayback(), PlaybackPaused)
        self._tracks.playing = False
        return paused

    async def resume_playback(self) -> PlaybackResumed:
        """Voice again, from now on."""
        return await self._link.request(ResumePlayback(), PlaybackResumed)

    async def status(self) -> SessionStatus:
        """How the session stands."""
        code = "" if self._seat is None else self._seat.session_id
        return await self._link.request(GetSessionStatus(session_id=code), SessionStatus)

    async def languages(self) -> Languages:
        """What can be spoken, and what each can be heard in."""
        return await self._link.request(ListLanguages(), Languages)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Events until the session ends.

        Raises: BabelcastError when the connection is lost for good.
        """
        async for event in self._link.events():
            yield event

    async def aclose(self) -> None:
        """Leave; idempotent."""
        await self._link.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _resume(self, connection: Connection) -> None:
        seat = self._seat
        if seat is None:
            return
        message = RefreshConnection(
            session_id=seat.session_id,
            resume_token=self._resume_token,
            last_sequence_number=self._tracks.voices.last(seat.language),
            audio=seat.audio,
            delivery=seat.delivery,
            captions=seat.captions,
        )
        done = await connection.request(message, ConnectionRefreshComplete)
        self._resume_token = done.resume_token
        if isinstance(done.target_language, str):
            self._seat = replace(seat, language=done.target_language)
        if not self._tracks.playing:
            await connection.request(PausePlayback(), PlaybackPaused)  # a new connection plays


@dataclass(slots=True)
class _Tracks:
    """What was taken in so far."""

    voices: SequenceTracker
    captions: CaptionTracker
    playing: bool = True


def _sift(tracks: _Tracks, incoming: Incoming, *, answers: bool) -> list[Event]:
    """What comes again is left out, and missing voice is announced."""
    match incoming:
        case Voice():
            return _sift_voice(tracks, incoming)
        case Caption() | Transcript() | SpokenOver():
            return [incoming] if tracks.captions.take(incoming) else []
        case SessionJoined() | LanguageChanged():
            tracks.voices.start(incoming.target_language, incoming.last_sequence_number)
        case PlaybackResumed():
            tracks.voices.skip_to(incoming.last_sequence_number)
            tracks.playing = True
        case SessionEnded():
            return [incoming]
    return [] if answers else [incoming]


def _sift_voice(tracks: _Tracks, voice: Voice) -> list[Event]:
    language, number = voice.message.target_language, voice.message.sequence_number
    last = tracks.voices.last(language)
    place = tracks.voices.take(language, number)
    if place is Place.REPEATED or not tracks.playing:
        return []
    if place is Place.AFTER_GAP and last is not None:
        return [SequenceGap(language, last + 1, number), voice]
    return [voice]
