"""The one writer of a session: captions, voices, their numbers and notices, to the bus and the speaker."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from babelcast.archive.base import Archive, Entry
from babelcast.bus.base import Bus, Topic
from babelcast.errors import ServiceUnavailable
from babelcast.event.v1 import event_pb2 as event
from babelcast.protocol.server_messages import ServerMessage
from babelcast.session.v1 import session_pb2 as session_api
from babelcast.telemetry import tracing
from gateway import archiving, messages

FIRST_OWNER: Final = 1
"""The number of the owner that made the session."""


class Publisher:
    """Publishes for one session. Only its owner has one, so numbers run without gaps."""

    def __init__(
        self,
        session: session_api.Session,
        *,
        bus: Bus,
        archive: Archive,
        awaited: Callable[[], set[str]],
        epoch: int,
        tell_speaker: Callable[[ServerMessage], None],
        clock_ms: Callable[[], int],
    ) -> None:
        """`session` is kept current by the caller; `awaited` gives the languages of its listeners who are
        away for a moment; `epoch` is its owner's number.
        """
        self.epoch = epoch
        self._session = session
        self._bus = bus
        self._archive = archive
        self._talk = archiving.talk_of(session)
        self._awaited = awaited
        self._tell_speaker = tell_speaker
        self._clock_ms = clock_ms
        self._sequences: dict[str, int] = {}
        self._degraded: set[tuple[str, str]] = set()
        self._interrupted: frozenset[str] | None = None  # who was told that transcription is gone

    @property
    def source(self) -> str:
        """The language spoken."""
        return self._session.settings.source_language

    def targets(self) -> list[str]:
        """The languages somebody listens in, but for the source."""
        return sorted(self._languages() - {self.source})

    def topic(self, language: str) -> Topic:
        """Where a language of this session is published."""
        return Topic(self._session.session_id, language)

    def go_on(
        self,
        *,
        sequences: Mapping[str, int],
        degraded: Iterable[tuple[str, str]],
        interrupted: frozenset[str] | None,
    ) -> None:
        """Begin where another owner stopped: with the last number of each language, and with what listeners
        were told of stations, as `notice` and `transcription_notice` do.
        """
        self._sequences.update(sequences)
        self._degraded.update(degraded)
        self._interrupted = interrupted

    async def transcript(self, transcript: event.Transcript, *, request_id: str = "") -> None:
        """Show the speaker, and those who listen in the source language. Those are told through its topic,
        which is also the log of the talk, so all goes there whether anybody listens or not.
        """
        if not transcript.is_final and not self._session.settings.partial_results:
            return
        # in this order: what the speaker has seen is in the log
        await self._publish(self.source, event.Broadcast(transcript=transcript))
        if transcript.is_final:
            self._keep(self.source, archiving.said(transcript, epoch=self.epoch, now_ms=self._clock_ms()))
        self._tell_speaker(messages.transcript(transcript, now_ms=self._clock_ms(), request_id=request_id))

    async def checkpoint(self, checkpoint: event.Checkpoint) -> None:
        """Tell a next owner how far this one has come."""
        await self._publish(self.source, event.Broadcast(checkpoint=checkpoint))

    async def caption(self, language: str, caption: event.Caption) -> None:
        """Show a language's listeners."""
        await self._publish(language, event.Broadcast(caption=caption))

    async def final_caption(
        self, language: str, caption: event.Caption, *, start_ms: int, end_ms: int, said_ms: int
    ) -> None:
        """Show a language's listeners a caption that stays, of what was said from one place to another, which
        ended at `said_ms` (epoch).
        """
        await self.caption(language, caption)
        now_ms = said_ms if caption.late else self._clock_ms()
        self._keep(
            language,
            archiving.translated(caption, start_ms=start_ms, end_ms=end_ms, epoch=self.epoch, now_ms=now_ms),
        )

    async def keep_again(
        self, finals: Mapping[int, event.Transcript], captions: Mapping[str, Sequence[event.Caption]]
    ) -> None:
        """Keep what the owner before has published and did not come to keep."""
        entries = archiving.published(
            finals, captions, source=self.source, epoch=self.epoch, now_ms=self._clock_ms()
        )
        for language, shown in entries.items():
            try:
                kept = await self._archive.read(self._talk, language)
            except ServiceUnavailable:  # then what is there already is kept twice, and counts once
                kept = ()
            for entry in archiving.missing(shown, kept=kept):
                self._keep(language, entry)

    async def spoken_over(self, language: str, segment: int) -> None:
        """Tell a language's listeners that a sentence stays without voice; it takes no number."""
        await self._publish(language, event.Broadcast(spoken_over=event.SpokenOver(segment=segment)))

    async def voice(self, language: str, spoken: event.TranslatedAudio) -> None:
        """Speak to a language's listeners; gives it the next number."""
        last = self._sequences.get(language)
        if last is None and self.epoch <= FIRST_OWNER:
            last = 0  # nobody was before us
        elif last is None:
            # nobody before us adds to it then
            last = await self._bus.claim(self.topic(language), epoch=self.epoch)
        spoken.sequence = last + 1
        await self._publish(language, event.Broadcast(audio=spoken))
        self._sequences[language] = spoken.sequence  # one that was not published leaves no gap

    async def notice(self, component: str, languages: Iterable[str], *, degraded: bool) -> None:
        """Tell once that a station failed for a language, and once that it works again."""
        for language in languages:
            key = (component, language)
            if degraded == (key in self._degraded):
                continue
            (self._degraded.add if degraded else self._degraded.discard)(key)
            notice = _notice(component, degraded=degraded)
            self._tell_speaker(messages.service_notice(language, notice, now_ms=self._clock_ms()))
            await self._publish(language, event.Broadcast(notice=notice))

    async def transcription_notice(self, *, working: bool) -> None:
        """Tell the speaker and all who listen that transcription failed, and the same that it is back."""
        if working == (self._interrupted is None):
            return
        told = (
            self._interrupted
            if self._interrupted is not None
            else frozenset(self._session.audience.languages)
        )
        self._interrupted = None if working else told
        notice = _notice("transcription", degraded=not working)
        self._tell_speaker(messages.service_notice("", notice, now_ms=self._clock_ms()))
        for language in sorted(told):
            await self._publish(language, event.Broadcast(notice=notice))

    def _keep(self, language: str, entry: Entry) -> None:
        self._archive.append(self._talk, language, entry)

    def _languages(self) -> set[str]:
        return {*self._session.audience.languages, *self._awaited()}

    async def _publish(self, language: str, broadcast: event.Broadcast) -> None:
        broadcast.session_id = self._session.session_id
        broadcast.language = language
        broadcast.timestamp_ms = self._clock_ms()
        if tracing.current() is None:
            await self._bus.publish(self.topic(language), broadcast, epoch=self.epoch)
            return
        kind = broadcast.WhichOneof("payload") or ""
        attributes = {tracing.LANGUAGE: language, tracing.KIND: kind}
        with tracing.stage("publish", attributes=attributes) as publishing:
            broadcast.traceparent = publishing.traceparent
            await self._bus.publish(self.topic(language), broadcast, epoch=self.epoch)


def _notice(component: str, *, degraded: bool) -> event.ServiceNotice:
    state = "interrupted and being restored" if degraded else "back"
    return event.ServiceNotice(component=component, degraded=degraded, message=f"The {component} is {state}.")
