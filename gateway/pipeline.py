"""The way of one talk, held by its owner.

    feed() ─▶ Transcribing ─▶ results ─▶ Translating ─▶ Publisher ─▶ bus
                                 └─────────────────────▶ Publisher ─▶ speaker, and bus (source language)

What was sent and not answered is kept by each half and sent again when its stream breaks, so nothing is lost;
what was answered is known by its segment number, so nothing comes twice.
"""

import asyncio
from collections.abc import Callable

from babelcast.bus.base import Bus, Topic
from babelcast.event.v1 import event_pb2 as event
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.protocol.server_messages import ServerMessage
from babelcast.session.v1 import session_pb2 as session_api
from babelcast.transcription.v1 import transcription_pb2 as transcription_api
from gateway import messages
from gateway.fanout import Demand, Hub
from gateway.publisher import Publisher
from gateway.sentences import OpenSegment, Sentence, Shown, elapsed_ms
from gateway.sound_warnings import SoundWarnings
from gateway.streams import Stations, TranscriptionStream
from gateway.transcribing import Transcribing
from gateway.translating import Translating
from gateway.usage import SessionUsage

LOSING = "Transcription does not keep up: some of what is said is lost."
REFUSED = "Nothing that is said can be transcribed until this is corrected: "

BYTES_PER_S = 2 * SAMPLE_RATE_HZ


class Pipeline:
    """One talk. `start` it, `feed` it, then `finish` (lets open sentences through) or `aclose` (does not)."""

    def __init__(
        self,
        session: session_api.Session,
        *,
        stations: Stations,
        bus: Bus,
        hub: Hub,
        tell_speaker: Callable[[ServerMessage], None],
        clock_ms: Callable[[], int],
        buffer_s: int,
        usage: SessionUsage,
    ) -> None:
        """`session` is kept current by the caller; `hub` says what its listeners want made."""
        self.usage = usage
        self._session = session
        self._hub = hub
        self._stations = stations
        self._tell_speaker = tell_speaker
        self._clock_ms = clock_ms
        self._open_segment = OpenSegment()
        self._publisher = Publisher(
            session, bus=bus, awaited=hub.awaited, tell_speaker=tell_speaker, clock_ms=clock_ms
        )
        self._transcribing = Transcribing(
            session,
            stations=stations,
            on_result=self._on_result,
            on_quality=self._on_quality,
            on_state=self._on_transcription_state,
            on_refusal=self.remind,
            on_reopened=self._on_reopened,
            on_loss=self._on_loss,
            clock_ms=clock_ms,
            buffer_s=buffer_s,
        )
        self._translating = Translating(
            session,
            stations=stations,
            publisher=self._publisher,
            demand=self._demand,
            clock_ms=clock_ms,
            on_usage=usage.take,
        )
        self._warnings = SoundWarnings()
        self._task: asyncio.Task[None] | None = None

    @property
    def lost_ms(self) -> float:
        """Audio lost because transcription did not keep up, or was away for too long."""
        return self._transcribing.lost_ms

    def start(self, stream: TranscriptionStream | None) -> "asyncio.Task[None]":
        """Go, with a transcription stream that has started, or until one does; returns the task that ends
        with the talk.
        """
        self._task = asyncio.create_task(self._run(stream), name=f"pipeline-{self._session.session_id}")
        self._translating.expect()
        return self._task

    def on_audience(self, *, new_languages: bool) -> None:
        """The audience changed: the engines of its new languages are made ready before the next sentence."""
        self.usage.listening(self._session.audience.listener_count)
        if new_languages:
            self._translating.expect()

    def feed(self, pcm: bytes) -> None:
        """Take 16 kHz audio from the speaker; never waits."""
        self.usage.transcribed(self._stations.transcription_engine, len(pcm) / BYTES_PER_S)
        self._transcribing.feed(pcm)
        self._warnings.heard(self._clock_ms(), self._session.broadcast)
        self._warn()

    def hold(self, held: bool) -> None:
        """Whether audio waits for what comes before it: until it is fed, silence is not taken for a pause."""
        self._transcribing.held = held

    def remind(self) -> None:
        """Tell the speaker, who may have come back, why the talk is not transcribed, if it is refused."""
        if self._transcribing.refusal is not None:
            self._notice(REFUSED + self._transcribing.refusal, degraded=True)

    async def edit(self, segment: int, text: str, *, request_id: str = "") -> None:
        """Correct a sentence everywhere; it is shown again, not spoken again. The speaker's transcript is the
        answer to `request_id`.

        Raises: InvalidParameter when there is no such sentence any more.
        """
        sentence = await self._translating.revise(segment, text)
        await self._publisher.transcript(
            event.Transcript(
                segment=sentence.segment,
                revision=sentence.revision,
                text=text,
                stable_text=text,
                is_final=True,
                stability=1.0,
                start_ms=sentence.start_ms,
                end_ms=sentence.end_ms,
            ),
            request_id=request_id,
        )

    async def finish(self, *, timeout_s: float) -> bool:
        """No more audio: let what was said go through; False when it took longer than `timeout_s`."""
        self._transcribing.close()
        if self._task is None:
            return True
        _, late = await asyncio.wait([self._task], timeout=timeout_s)
        await self.aclose()
        return not late

    async def aclose(self) -> None:
        """Stop at once; idempotent."""
        self._transcribing.close()
        self._translating.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, stream: TranscriptionStream | None) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._translating.run(), name="translating")
                await self._transcribing.run(stream)
                self._translating.close()
        finally:
            self.usage.listening(0)  # counted also when there is no speaker to be told at the end

    def _demand(self, topic: Topic) -> Demand:
        listeners = self._session.audience.languages.get(topic.language, 0)
        return self._hub.demand(topic, listeners=listeners)

    async def _on_result(self, result: transcription_api.TranscriptResult) -> None:
        shown = self._open_segment.show(result)
        if shown is None:
            return
        await self._publisher.transcript(
            event.Transcript(
                segment=result.segment,
                revision=shown.revision,
                text=shown.text,
                stable_text=shown.stable_text,
                is_final=result.is_final,
                stability=result.stability,
                start_ms=result.start_ms,
                end_ms=result.end_ms,
            )
        )
        if result.is_final:
            await self._translating.final(self._sentence(result, shown))
        elif shown.stable_text:
            self._translating.partial(result.segment, shown.revision, shown.stable_text)

    def _sentence(self, result: transcription_api.TranscriptResult, shown: Shown) -> Sentence:
        now_ms = self._clock_ms()
        spoken_end_ms = self._transcribing.timeline.arrival_ms(result.end_ms) or now_ms
        return Sentence(
            segment=result.segment,
            revision=shown.revision,
            text=shown.text,
            dynamics=result.dynamics,
            spoken_end_ms=spoken_end_ms,
            transcribed_ms=elapsed_ms(spoken_end_ms, now_ms),
            start_ms=result.start_ms,
            end_ms=result.end_ms,
        )

    def _on_quality(self, change: transcription_api.QualityEvent) -> None:
        self._warnings.change(change)
        self._warn()

    def _warn(self) -> None:
        now_ms = self._clock_ms()
        for event_due in self._warnings.due(now_ms, self._session.broadcast):
            self._tell_speaker(messages.quality(event_due, now_ms=now_ms))

    async def _on_transcription_state(self, working: bool) -> None:
        await self._publisher.transcription_notice(working=working)

    def _on_reopened(self) -> None:
        self._warnings.reopened(self._clock_ms())

    def _on_loss(self, losing: bool) -> None:
        self._notice(LOSING if losing else "Transcription keeps up again.", degraded=losing)

    def _notice(self, message: str, *, degraded: bool) -> None:
        """Tell the speaker alone."""
        notice = event.ServiceNotice(component="transcription", degraded=degraded, message=message)
        self._tell_speaker(messages.service_notice("", notice, now_ms=self._clock_ms()))
