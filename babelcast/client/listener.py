"""A listener's side of a session."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Self

from babelcast.client import address
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
    ConnectionRefreshComplete,
    LanguageChanged,
    Languages,
    PlaybackPaused,
    PlaybackResumed,
    SessionEnded,
    SessionJoined,
    SessionStatus,
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

    `Voice` carries decoded audio whichever delivery was chosen. After a lost connection the listener comes
    back by itself and gets what it missed, once; `SequenceGap` says when something is missing all the same.
    """

    def __init__(self, link: Link, tracker: SequenceTracker) -> None:
        """Use `connect`."""
        self.session: SessionJoined | None = None
        self._link = link
        self._tracker = tracker
        self._seat: _Seat | None = None
        self._resume_token = ""

    @classmethod
    async def connect(
        cls, url: str, *, settings: ClientSettings | None = None, random: Random | None = None
    ) -> Self:
        """Connect to a gateway, e.g. ws://127.0.0.1:8080.

        Raises: ServiceUnavailable, RateLimitExceeded, InvalidParameter for a bad address.
        """
        settings = settings or ClientSettings()
        target = address.normalise(url)
        tracker = SequenceTracker()

        async def dial(on_message: OnMessage) -> Connection:
            return await Connection.open(target, token="", settings=settings, on_message=on_message)

        def sift(incoming: Incoming, answers: bool) -> list[Event]:
            return _sift(tracker, incoming, answers=answers)

        link = Link(dial, sift=sift, settings=settings, random=random or Random())  # noqa: S311 - jitter
        await link.start()
        return cls(link, tracker)

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
            seat = self._seat
            self._seat = _Seat(
                seat.session_id, changed.target_language, seat.audio, seat.delivery, seat.captions
            )
        return changed

    async def pause_playback(self) -> PlaybackPaused:
        """No voice from now on; captions go on."""
        return await self._link.request(PausePlayback(), PlaybackPaused)

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
            last_sequence_number=self._tracker.last(seat.language),
            audio=seat.audio,
            delivery=seat.delivery,
            captions=seat.captions,
        )
        done = await connection.request(message, ConnectionRefreshComplete)
        self._resume_token = done.resume_token


def _sift(tracker: SequenceTracker, incoming: Incoming, *, answers: bool) -> list[Event]:
    """Follow the numbers: repeated voice is left out, missing voice is announced."""
    match incoming:
        case Voice(message=message):
            language, number = message.target_language, message.sequence_number
            last = tracker.last(language)
            place = tracker.take(language, number)
            if place is Place.REPEATED:
                return []
            if place is Place.AFTER_GAP and last is not None:
                return [SequenceGap(language, last + 1, number), incoming]
            return [incoming]
        case SessionJoined() | LanguageChanged():
            tracker.start(incoming.target_language, incoming.last_sequence_number)
        case PlaybackResumed():
            tracker.skip_to(incoming.last_sequence_number)
        case SessionEnded():
            return [incoming]
    return [] if answers else [incoming]
