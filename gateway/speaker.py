"""A connection whose role is speaker."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from msgspec import UNSET

from babelcast.errors import BabelcastError, Conflict, InvalidParameter, ServiceUnavailable
from babelcast.protocol import client_messages as ask
from babelcast.protocol import codec
from babelcast.protocol import server_messages as say
from babelcast.session.v1 import session_pb2 as api
from babelcast.telemetry.instruments import SESSIONS_CREATED
from gateway import measuring, messages
from gateway.desk import Desk
from gateway.inbound import Inbound
from gateway.intake import Intake
from gateway.ledger import UNKNOWN, Place
from gateway.outlet import Outlet
from gateway.pipeline import Pipeline
from gateway.rooms import Room
from gateway.transcribing import RESEND_S, stream_config
from gateway.usage import SessionUsage

# Long enough for a transcription that died with the last words to be back and recognise them.
FINISH_WITHIN_S = 25.0
ACK_EVERY_S = 1.0
# A bus that is out of reach holds nobody up: what is said waits for it in the pipeline.
PLACED_WITHIN_S = 3.0
# Clients do not send as evenly as they speak.
MARGIN_S = 5.0
MS_PER_S = 1000

log = logging.getLogger(__name__)


class Speaker:
    """The speaker's side of a session on this connection."""

    def __init__(self, desk: Desk, room: Room, *, connection_id: str, outlet: Outlet) -> None:
        self.connection_id = connection_id
        self.room = room
        self._desk = desk
        self._outlet = outlet
        self._intake = Intake(
            lambda: self.room, chunks_per_second=desk.config.max_audio_chunks_per_second, clock=desk.clock
        )
        self._acked_s = float("-inf")
        self._end_request_id = ""
        self._periodic: asyncio.Task[None] | None = None
        self._usage: SessionUsage | None = None

    @classmethod
    async def create(
        cls,
        desk: Desk,
        message: ask.CreateSession,
        *,
        subject: str,
        connection_id: str,
        outlet: Outlet,
        base_url: str,
    ) -> "Speaker":
        """Make a session. A place in transcription comes first, so that no session is made without one.

        Raises: BabelcastError.
        """
        settings = await _settings(desk, message)
        stream = await desk.stations.transcribe(stream_config(settings))
        try:
            created = await desk.sessions.create(
                api.CreateSessionRequest(
                    request_id=f"{connection_id}:{message.request_id}"[:64],
                    speaker_id=subject,
                    connection_id=connection_id,
                    settings=settings,
                )
            )
        except BaseException:
            stream.cancel()
            raise
        SESSIONS_CREATED.add(1)
        speaker = cls._enter(desk, created.session, connection_id=connection_id, outlet=outlet)
        speaker.room.speaker = outlet
        speaker.room.confirmed = True  # nobody else knows the code yet
        outlet.send(
            _session_created(created, message, connection_id=connection_id, base_url=base_url, desk=desk)
        )
        pipeline = speaker._own()
        pipeline.traces.decide(message.traceparent)
        pipeline.start(stream).add_done_callback(speaker.room.on_pipeline_done)
        return speaker

    @classmethod
    async def take_over(
        cls,
        desk: Desk,
        taken: api.RefreshConnectionResponse,
        *,
        request_id: str,
        connection_id: str,
        outlet: Outlet,
    ) -> "Speaker":
        """Go on with a session that was taken over, on its pipeline if it is here.

        A new pipeline looks for its place in transcription by itself: this cannot fail any more, since the
        token that was used up for it cannot be used again.
        """
        speaker = cls._enter(desk, taken.session, connection_id=connection_id, outlet=outlet)
        room, epoch = speaker.room, taken.session.owner_epoch
        room.session.owner_epoch = max(epoch, room.session.owner_epoch)
        await desk.rooms.replaced(room, taken.previous_connection_id)
        last_audio_sequence = await speaker._go_on(epoch)
        if room.session.owner_epoch == epoch:  # else yet another connection took it over meanwhile
            room.speaker = outlet
        if room.pipeline is None and room.ended is None:
            # it ended before it had a speaker to be told
            outlet.close_soon(1011, "another gateway owns the session now")
        now_ms = desk.clock_ms()
        outlet.send(
            say.ConnectionRefreshComplete(
                session_id=room.session.session_id,
                role="speaker",
                resume_token=taken.resume_token,
                last_sequence_number=0,
                last_audio_sequence=UNSET if last_audio_sequence is None else last_audio_sequence,
                request_id=request_id or UNSET,
                timestamp=now_ms,
            )
        )
        outlet.send(
            say.StateRestored(
                session_id=room.session.session_id,
                broadcast_state=messages.broadcast_state(taken.session.broadcast),
                timestamp=now_ms,
            )
        )
        if room.pipeline is not None:
            room.pipeline.remind()
        await desk.rooms.confirm(room)
        return speaker

    async def audio(
        self,
        pcm: bytes,
        *,
        sequence: int | None = None,
        sample_rate_hz: int | None = None,
        ack: bool = False,
        traceparent: str = "",
    ) -> None:
        """Take a chunk of PCM; one whose `sequence` says that it came early waits for those before it.

        Raises: Conflict, RateLimitExceeded, InvalidAudioFormat, AudioChunkTooLarge.
        """
        self._check_not_replaced()
        self._intake.take(pcm, sequence=sequence, sample_rate_hz=sample_rate_hz, traceparent=traceparent)
        now_s = self._desk.clock()
        if ack and now_s - self._acked_s >= ACK_EVERY_S:
            self._acked_s = now_s
            self._outlet.send(
                say.AudioReceived(
                    chunks=self._intake.chunks,
                    duration=self._intake.received_ms / MS_PER_S,
                    timestamp=self._desk.clock_ms(),
                )
            )

    async def act(self, message: ask.AnyClientMessage) -> None:
        """Do what a speaker's message asks. Raises: BabelcastError."""
        self._check_not_replaced()
        match message:
            case ask.SendAudio():
                await self.audio(
                    _pcm(message),
                    sequence=message.sequence,
                    sample_rate_hz=message.sample_rate,
                    ack=message.ack,
                    traceparent=message.traceparent,
                )
            case ask.ControlBroadcast():
                await self._control(message)
            case ask.SetVolume():
                state = await self._update(volume=message.volume_level)
                self._answer(say.VolumeChanged, message, state)
            case ask.SpeakerStateChange(state=wanted):
                state = await self._update(
                    is_paused=wanted.is_paused, is_muted=wanted.is_muted, volume=wanted.volume
                )
                self._answer(say.SpeakerStateChanged, message, state)
            case ask.EditTranscript():
                await self._edit(message)
            case ask.EndSession():
                await self._end(message)
            case _:
                raise AssertionError(f"not a speaker's message: {message!r}")

    async def on_audience(self, before: api.Audience, session: api.Session) -> None:
        """Tell the speaker at once when the audience changed much."""
        reason = messages.status_reason(before, session.audience)
        if reason is not None:
            self.tell_status(session, reason=reason)

    def tell_status(self, session: api.Session, *, reason: say.UpdateReason, request_id: str = "") -> None:
        """How the talk stands, with the lag of each language."""
        pipeline = self.room.pipeline
        self._outlet.send(
            messages.session_status(
                session,
                reason=reason,
                now_ms=self._desk.clock_ms(),
                request_id=request_id,
                lags={} if pipeline is None else pipeline.lags,
            )
        )

    async def on_ended(self, reason: str) -> None:
        """Tell the speaker; the connection stays for another session."""
        self._intake.end_order()
        await self._stop_periodic()
        self._outlet.send(
            say.SessionEnded(
                session_id=self.room.session.session_id,
                reason=reason,
                usage=self._usage.told() if self._usage is not None else UNSET,
                request_id=self._end_request_id or UNSET,
                timestamp=self._desk.clock_ms(),
            )
        )

    async def on_replaced(self) -> None:
        """Another connection speaks now."""
        if self.room.speaker is self._outlet:
            self.room.speaker = None
        self._intake.flush()
        await self._stop_periodic()
        self._outlet.close_soon(1000, "replaced by a new connection")

    async def leave(self, *, may_come_back: bool) -> None:  # noqa: ARG002 - a session waits in any case
        """The connection is gone; the session waits for its speaker's grace period."""
        if self.room.speaker is self._outlet:
            self._intake.flush()
        await self._stop_periodic()
        if self.room.speaker is self._outlet:
            self.room.speaker = None
        self._desk.rooms.leave(self.room, self.connection_id)

    @classmethod
    def _enter(cls, desk: Desk, session: api.Session, *, connection_id: str, outlet: Outlet) -> "Speaker":
        room = Room(session)
        speaker = cls(desk, room, connection_id=connection_id, outlet=outlet)
        speaker.room = desk.rooms.enter(session, speaker)
        speaker._periodic = asyncio.create_task(speaker._tell_status(), name="speaker-status")
        return speaker

    async def _go_on(self, epoch: int) -> int | None:
        """See to a pipeline for this connection; returns the last chunk that need not be sent again, None
        when that is not known.
        """
        room = self.room
        if room.pipeline is not None and not room.pipeline.may_serve(epoch):
            stale, room.pipeline = room.pipeline, None
            await stale.aclose()
        pipeline = room.pipeline
        if pipeline is None:
            room.inbound = Inbound()  # what was counted for another owner's pipeline is in the log
            pipeline = self._own()
            pipeline.take_over().add_done_callback(room.on_pipeline_done)
        elif pipeline.began_here:
            return self._stay(pipeline, epoch)
        else:  # perhaps for another connection of this speaker, a moment ago
            pipeline.serve(epoch)
            self._usage = pipeline.usage
        checkpoint = await pipeline.placed(timeout_s=PLACED_WITHIN_S)
        if room.inbound.last_s is not None:  # its count is further than what was read
            return self._stay(pipeline, epoch)
        if checkpoint is None or checkpoint.audio_sequence == UNKNOWN:
            self._intake.allow(RESEND_S)
            return None
        away_ms = self._desk.clock_ms() - checkpoint.arrived_ms
        self._intake.allow(away_ms / MS_PER_S + MARGIN_S)
        place = Place(checkpoint.audio_sequence, checkpoint.audio_offset_ms)
        room.inbound.resume(place, hidden=checkpoint.hidden)
        return checkpoint.audio_sequence

    def _stay(self, pipeline: Pipeline, epoch: int) -> int:
        """The pipeline is here and goes on."""
        inbound = self.room.inbound
        pipeline.serve(epoch)
        self._usage = pipeline.usage
        inbound.reconnected()
        if inbound.last_s is not None:
            self._intake.allow(self._desk.clock() - inbound.last_s + MARGIN_S)
        return inbound.order.last

    def _own(self) -> Pipeline:
        """A new pipeline for the room."""
        room = self.room
        room.owned = True
        self._usage = SessionUsage(
            prices=self._desk.prices,
            listeners=room.session.audience.listener_count,
            clock_ms=self._desk.clock_ms,
        )
        room.pipeline = Pipeline(
            room.session,
            stations=self._desk.stations,
            bus=self._desk.bus,
            archive=self._desk.archive,
            hub=self._desk.hub,
            tell_speaker=room.tell_speaker,
            clock_ms=self._desk.clock_ms,
            buffer_s=self._desk.config.audio_buffer_max_seconds,
            clock=self._desk.clock,
            resume_window_s=self._desk.config.resume_window_seconds,
            usage=self._usage,
        )
        return room.pipeline

    def _check_not_replaced(self) -> None:
        # frames that were under way when another connection took over
        if self.room.speaker is not self._outlet:
            raise Conflict("Another connection speaks now.")

    async def _control(self, message: ask.ControlBroadcast) -> None:
        action = message.control_action
        state = await self._update(
            is_paused={"pause": True, "resume": False}.get(action),
            is_muted={"mute": True, "unmute": False}.get(action),
        )
        self._outlet.send(
            say.BroadcastControlled(
                control_action=action,
                broadcast_state=messages.broadcast_state(state),
                listeners_notified=self.room.session.audience.listener_count,
                request_id=message.request_id or UNSET,
                timestamp=self._desk.clock_ms(),
            )
        )

    async def _update(
        self, *, is_paused: bool | None = None, is_muted: bool | None = None, volume: float | None = None
    ) -> api.BroadcastState:
        self._intake.end_order()  # what was said before comes before
        session = await self._desk.sessions.update_broadcast(
            api.UpdateBroadcastRequest(
                session_id=self.room.session.session_id,
                connection_id=self.connection_id,
                is_paused=is_paused,
                is_muted=is_muted,
                volume=volume,
            )
        )
        await self._desk.rooms.on_broadcast(self.room, session.broadcast)
        return session.broadcast

    def _answer(
        self,
        kind: Callable[..., say.ServerMessage],
        message: ask.ClientMessage,
        state: api.BroadcastState,
    ) -> None:
        self._outlet.send(
            kind(
                session_id=self.room.session.session_id,
                broadcast_state=messages.broadcast_state(state),
                request_id=message.request_id or UNSET,
                timestamp=self._desk.clock_ms(),
            )
        )

    async def _edit(self, message: ask.EditTranscript) -> None:
        if not message.segment_id.isdecimal():
            raise InvalidParameter("segmentId", "there is no such sentence.")
        if self.room.pipeline is None:
            raise ServiceUnavailable("The talk is ending.")
        await self.room.pipeline.edit(int(message.segment_id), message.text, request_id=message.request_id)

    async def _end(self, message: ask.EndSession) -> None:
        self._end_request_id = message.request_id
        self._intake.flush()
        pipeline = self.room.pipeline
        if pipeline is not None:
            on_time = await pipeline.finish(timeout_s=FINISH_WITHIN_S)
            log.info("talk finished", extra={"on_time": on_time, "lost_ms": round(pipeline.lost_ms)})
        try:
            await self._desk.sessions.end(
                self.room.session.session_id, connection_id=self.connection_id, reason=message.reason
            )
        except BabelcastError:
            if self.room.pipeline is pipeline and self.room.ended is None:
                # the talk goes on, until the speaker asks again
                self._own().take_over().add_done_callback(self.room.on_pipeline_done)
            raise
        await self._desk.rooms.end(self.room, message.reason)

    async def _tell_status(self) -> None:
        while True:
            await asyncio.sleep(self._desk.config.status_interval_seconds)
            with contextlib.suppress(BabelcastError):
                session = await self._desk.sessions.get(self.room.session.session_id)
                self.tell_status(session, reason="periodic")

    async def _stop_periodic(self) -> None:
        if self._periodic is not None and self._periodic is not asyncio.current_task():
            self._periodic.cancel()
            await asyncio.wait([self._periodic])


def _pcm(message: ask.SendAudio) -> bytes:
    """The samples. Raises: InvalidAudioFormat, which is counted."""
    try:
        return codec.audio_bytes(message)
    except BabelcastError as error:
        measuring.not_taken(error)
        raise


async def _settings(desk: Desk, message: ask.CreateSession) -> api.SessionSettings:
    premium = message.quality_tier == "premium"
    return api.SessionSettings(
        source_language=await desk.languages.source(message.source_language),
        quality_tier=api.QUALITY_TIER_PREMIUM if premium else api.QUALITY_TIER_STANDARD,
        partial_results=message.partial_results,
        min_stability=message.min_stability,
        max_buffer_timeout_s=message.max_buffer_timeout,
        glossary=[
            api.GlossaryTerm(term=term, translations=translations)
            for term, translations in message.glossary.items()
        ],
    )


def _session_created(
    created: api.CreateSessionResponse,
    message: ask.CreateSession,
    *,
    connection_id: str,
    base_url: str,
    desk: Desk,
) -> say.SessionCreated:
    session, settings = created.session, created.session.settings
    base = desk.config.public_url.rstrip("/") or base_url
    return say.SessionCreated(
        session_id=session.session_id,
        source_language=settings.source_language,
        quality_tier=messages.quality_tier(settings.quality_tier),
        partial_results_enabled=settings.partial_results,
        min_stability_threshold=settings.min_stability,
        max_buffer_timeout=settings.max_buffer_timeout_s,
        connection_id=connection_id,
        resume_token=created.resume_token,
        expires_at=session.expires_at_ms,
        join_url=f"{base}/{session.session_id}",
        request_id=message.request_id or UNSET,
        timestamp=desk.clock_ms(),
    )
