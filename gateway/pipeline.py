"""The way of one talk, held by its owner.

    feed() ─▶ Transcribing ─▶ results ─▶ Translating ─▶ Publisher ─▶ bus
                                 └─────────────────────▶ Publisher ─▶ speaker, and bus (source language)

What was sent and not answered is kept by each half and sent again when its stream breaks, so nothing is lost;
what was answered is known by its segment number, so nothing comes twice.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping

from babelcast import logs
from babelcast.archive.base import Archive
from babelcast.bus.base import Bus, Topic
from babelcast.errors import ServiceUnavailable
from babelcast.event.v1 import event_pb2 as event
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.protocol.server_messages import ServerMessage
from babelcast.session.v1 import session_pb2 as session_api
from babelcast.telemetry import tracing
from babelcast.transcription.v1 import transcription_pb2 as transcription_api
from gateway import messages
from gateway.elsewhere import Elsewhere
from gateway.fanout import Demand, Hub
from gateway.ledger import Source
from gateway.publisher import Publisher
from gateway.sentences import OpenSegment, Sentence, Shown, elapsed_ms
from gateway.sound_warnings import SoundWarnings
from gateway.streams import Stations, TranscriptionStream
from gateway.takeover import Inheritance, take_over
from gateway.tracing import TalkTraces
from gateway.transcribing import Transcribing
from gateway.translating import Translating
from gateway.usage import SessionUsage

LOSING = "Transcription does not keep up: some of what is said is lost."
REFUSED = "Nothing that is said can be transcribed until this is corrected: "

CHECKPOINT_EVERY_S = 20.0
MANY = 1_000_000
"""Listeners on other gateways, whose wishes are not known."""

BYTES_PER_S = 2 * SAMPLE_RATE_HZ

log = logging.getLogger(__name__)


class Pipeline:
    """One talk. `start` it, `feed` it, then `finish` (lets open sentences through) or `aclose` (does not)."""

    def __init__(
        self,
        session: session_api.Session,
        *,
        stations: Stations,
        bus: Bus,
        archive: Archive,
        hub: Hub,
        tell_speaker: Callable[[ServerMessage], None],
        clock_ms: Callable[[], int],
        buffer_s: int,
        clock: Callable[[], float],
        resume_window_s: float,
        usage: SessionUsage,
    ) -> None:
        """`session` is kept current by the caller; `hub` says what its listeners want made; `clock` gives
        seconds. Listeners may be away for `resume_window_s`.
        """
        self.usage = usage
        self.resent = False
        """Whether a speaker who came back sends again what may be lost; set before that is fed."""
        self._session = session
        self._hub = hub
        self._bus = bus
        self._clock = clock
        self._elsewhere = Elsewhere(window_s=resume_window_s)
        self._checkpoint_every_s = min(CHECKPOINT_EVERY_S, resume_window_s / 3)
        self._logged_s = float("-inf")
        self._uncounted_s = 0.0
        self._due = asyncio.Event()
        self._inherits = False
        self._placed: asyncio.Future[event.Checkpoint | None] = asyncio.get_running_loop().create_future()
        self._stations = stations
        self._tell_speaker = tell_speaker
        self._clock_ms = clock_ms
        self._open_segment = OpenSegment()
        self._publisher = Publisher(
            session,
            bus=bus,
            archive=archive,
            awaited=self._awaited,
            epoch=session.owner_epoch,
            tell_speaker=tell_speaker,
            clock_ms=clock_ms,
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
        self.traces = TalkTraces(session.session_id)
        self._task: asyncio.Task[None] | None = None

    @property
    def lost_ms(self) -> float:
        """Audio lost because transcription did not keep up, or was away for too long."""
        return self._transcribing.lost_ms

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """What ends with the talk."""
        return self._task

    def start(self, stream: TranscriptionStream | None) -> "asyncio.Task[None]":
        """Go, with a transcription stream that has started, or until one does; returns the task that ends
        with the talk.
        """
        self._task = asyncio.create_task(self._run(stream), name=f"pipeline-{self._session.session_id}")
        self._translating.expect()
        return self._task

    def take_over(self) -> "asyncio.Task[None]":
        """Go on with a talk that another owner began, once it is known where that is; what is fed until then
        waits.
        """
        self._inherits = True
        return self.start(None)

    @property
    def began_here(self) -> bool:
        """Whether the talk had no owner before."""
        return not self._inherits

    async def placed(self, *, timeout_s: float) -> event.Checkpoint | None:
        """Where the talk that was taken over is; None when that is not known, or not in time."""
        await asyncio.wait([self._placed], timeout=timeout_s)
        return self._placed.result() if self._placed.done() else None

    def may_serve(self, epoch: int) -> bool:
        """Whether nobody else owned the talk between this owner and one with that number."""
        return epoch <= self._publisher.epoch + 1 and (self._task is None or not self._task.done())

    def serve(self, epoch: int) -> None:
        """The speaker came back here under another number, and may send much at once."""
        self._publisher.epoch = max(self._publisher.epoch, epoch)
        self._transcribing.expect_again()

    def on_audience(self, before: Mapping[str, int]) -> None:
        """The audience, which was `before`, changed: the engines of its new languages are made ready before
        the next sentence.
        """
        audience = self._session.audience
        self.usage.listening(audience.listener_count)
        self._elsewhere.changed(before, audience.languages, now_s=self._clock())
        new = set(audience.languages) - set(before)
        if new:
            self._translating.expect()
            self._translating.catch_up(new)

    def left_here(self, language: str) -> None:
        """A listener on this gateway leaves a language."""
        self._elsewhere.left_here(language, now_s=self._clock())

    def feed(self, pcm: bytes, source: Source | None = None, *, traceparent: str = "") -> None:
        """Take 16 kHz audio from the speaker's chunk `source`, which may have come with a trace context;
        never waits.
        """
        self._uncounted_s += len(pcm) / BYTES_PER_S
        self._count()
        traceparent = self.traces.chunk(traceparent, at_ms=self._clock_ms())
        self._transcribing.feed(pcm, source, traceparent=traceparent)
        self._warnings.heard(self._clock_ms(), self._session.broadcast)
        self._warn()

    def _count(self) -> None:
        """Count what was fed, once it is known who transcribes it."""
        engine = self._stations.transcription_engine
        if engine and self._uncounted_s:
            self.usage.transcribed(engine, self._uncounted_s)
            self._uncounted_s = 0.0

    def hide(self, number: int) -> None:
        """A chunk came while the speaker was paused or muted: it is not heard, nor when it is sent again."""
        self._transcribing.hide(number)

    def note_place(self) -> None:
        """Let a next owner know soon how far the talk is."""
        self._due.set()

    def hold(self, held: bool) -> None:
        """Whether audio waits for what comes before it: until it is fed, silence is not taken for a pause."""
        self._transcribing.held = held

    def remind(self) -> None:
        """Tell the speaker, who may have come back, why the talk is not transcribed, if it is refused."""
        if self._transcribing.refusal is not None:
            self._notice(REFUSED + self._transcribing.refusal, degraded=True)

    @property
    def lags(self) -> Mapping[str, int]:
        """How long after the words each language had them last, ms."""
        return self._translating.lags

    async def edit(self, segment: int, text: str, *, request_id: str = "") -> None:
        """Correct a sentence everywhere; it is shown again, not spoken again. The speaker's transcript is the
        answer to `request_id`.

        Raises: InvalidParameter when there is no such sentence any more, ServiceUnavailable while it is not
        known what was said before this owner.
        """
        if self._inherits and not self._placed.done():
            raise ServiceUnavailable("What was said is not known yet.")
        sentence = self._translating.revise(segment, text)
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
                sentence=sentence.logged(),
            ),
            request_id=request_id,
        )
        await self._translating.revised(sentence)

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
        logs.bind(session=self._session.session_id, connection_id="")
        try:
            inheritance = await self._inherit() if self._inherits else None
            async with asyncio.TaskGroup() as group:
                if inheritance is not None:
                    keeping = self._publisher.keep_again(inheritance.log.finals, inheritance.captions)
                    group.create_task(keeping, name="keep-again")
                checkpoints = group.create_task(self._checkpoints(), name="checkpoints")
                group.create_task(self._translating.run(), name="translating")
                if not self._inherits or await self._begin_again():
                    await self._transcribing.run(stream)
                self._translating.close()
                checkpoints.cancel()
        finally:
            if not self._placed.done():
                self._placed.set_result(None)
            self._count()
            self.usage.listening(0)  # counted also when there is no speaker to be told at the end

    async def _inherit(self) -> Inheritance:
        """Become the owner, and begin where the one before stopped."""
        epoch = self._publisher.epoch
        self._transcribing.expect_again()
        inheritance = await take_over(
            self._bus,
            self._session.session_id,
            source=self._publisher.source,
            epoch=epoch,
            languages=lambda: set(self._publisher.targets()),
        )
        handover = inheritance.handover
        self.traces.go_on(inheritance.log.traceparents.values())
        self._publisher.go_on(
            sequences=inheritance.sequences,
            degraded=handover.degraded,
            interrupted=handover.interrupted,
        )
        # the session service may know already that their gateway is gone, and them with it
        self._elsewhere.expect(inheritance.log.owed_at_ms, now_s=self._clock())
        self._transcribing.go_on(next_segment=handover.next_segment, checkpoint=handover.checkpoint)
        self._translating.go_on(handover)
        # for those who came while the log was read
        self._translating.catch_up(self._session.audience.languages)
        if handover.open is not None:
            self._open_segment.go_on(handover.open)
        if handover.checkpoint is not None:
            self.usage.go_on(handover.checkpoint)
        log.info("talk taken over", extra={"epoch": epoch, "segment": handover.next_segment})
        self._placed.set_result(handover.checkpoint)
        return inheritance

    async def _begin_again(self) -> bool:
        """Wait for the speaker's audio; False when none comes. When it does not begin where the words that
        were shown do, those are a sentence of their own.
        """
        heard = await self._transcribing.ready()
        shown = self._open_segment.last
        if shown is None or not shown.stable_text or (heard and self.resent):
            return heard
        position_ms = round(self._transcribing.timeline.position_ms)
        await self._on_result(
            transcription_api.TranscriptResult(
                segment=self._open_segment.number,
                text=shown.stable_text,
                stable_text=shown.stable_text,
                is_final=True,
                stability=1.0,
                start_ms=position_ms,
                end_ms=position_ms,
            )
        )
        self._transcribing.skip_segment()
        return heard

    async def _checkpoints(self) -> None:
        """Let a next owner know how far the talk is, also in long pauses."""
        loop = asyncio.get_running_loop()
        while True:
            wait_s = self._logged_s + self._checkpoint_every_s - loop.time()
            if wait_s > 0 and not self._due.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._due.wait()
                continue
            self._due.clear()
            self._logged_s = loop.time()
            await self._publisher.checkpoint(self._checkpoint())

    def _checkpoint(self, after: transcription_api.TranscriptResult | None = None) -> event.Checkpoint:
        checkpoint = self._transcribing.checkpoint(after=after)
        self.usage.note(checkpoint)
        return checkpoint

    def _awaited(self) -> set[str]:
        awaited = self._hub.awaited(self._session.session_id)
        return awaited | self._elsewhere.awaited(now_s=self._clock())

    def _demand(self, topic: Topic) -> Demand:
        listeners = self._session.audience.languages.get(topic.language, 0)
        if topic.language in self._elsewhere.awaited(now_s=self._clock()):
            listeners += MANY
        return self._hub.demand(topic, listeners=listeners)

    async def _on_result(self, result: transcription_api.TranscriptResult) -> None:
        if not result.is_final:
            await self._take_result(result)
            return
        arrival_ms = self._transcribing.timeline.arrival_ms
        with self.traces.segment(
            result,
            began_ms=arrival_ms(result.start_ms) or self._clock_ms(),
            ended_ms=arrival_ms(result.end_ms) or self._clock_ms(),
        ):
            await self._take_result(result)

    async def _take_result(self, result: transcription_api.TranscriptResult) -> None:
        shown = self._open_segment.show(result)
        if shown is None:
            return
        transcript = event.Transcript(
            segment=result.segment,
            revision=shown.revision,
            text=shown.text,
            stable_text=shown.stable_text,
            is_final=result.is_final,
            stability=result.stability,
            start_ms=result.start_ms,
            end_ms=result.end_ms,
        )
        if not result.is_final:
            await self._publisher.transcript(transcript)
            if shown.stable_text:
                self._translating.partial(result.segment, shown.revision, shown.stable_text)
            return
        sentence = self._sentence(result, shown)
        self._translating.owe(sentence)
        transcript.sentence.CopyFrom(sentence.logged(self._checkpoint(after=result)))
        self._logged_s = asyncio.get_running_loop().time()
        # first of all: what is not in the log has not been said, whatever happens to this gateway
        await self._publisher.transcript(transcript)
        await self._translating.final(sentence)

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
            traceparent=tracing.here(),
            received_s=time.perf_counter(),
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
