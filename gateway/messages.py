"""From the services' records to the client protocol's messages: pure."""

import base64
import secrets
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from babelcast.errors import BabelcastError
from babelcast.event.v1 import event_pb2 as event
from babelcast.protocol import server_messages as say
from babelcast.session.v1 import session_pb2 as session_api
from babelcast.transcription.v1 import transcription_pb2 as transcription_api

QUALITY_NAMES: Final[dict[int, say.QualityIssue]] = {
    transcription_api.QUALITY_ISSUE_SNR_LOW: "snr_low",
    transcription_api.QUALITY_ISSUE_CLIPPING: "clipping",
    transcription_api.QUALITY_ISSUE_ECHO: "echo",
    transcription_api.QUALITY_ISSUE_SILENCE: "silence",
}
QUALITY_ADVICE: Final[dict[say.QualityIssue, str]] = {
    "snr_low": "There is much noise. Move closer to the microphone or to a quieter place.",
    "clipping": "The sound is too loud and distorts. Lower the microphone's level or step back.",
    "echo": "The microphone hears an echo. Use headphones, or turn the loudspeakers away.",
    "silence": "Nothing is heard. Check that the microphone is on and chosen.",
}
_COMPONENTS: Final[dict[str, say.Component]] = {
    "transcription": "transcription",
    "translation": "translation",
    "speech": "speech",
}


def quality_tier(tier: int) -> str:
    """The protocol's name of a tier."""
    return "premium" if tier == session_api.QUALITY_TIER_PREMIUM else "standard"


def error(
    failure: BabelcastError, *, action: str, request_id: str, now_ms: int, correlation_id: str = ""
) -> say.Error:
    """The one place where a failure becomes a message."""
    return say.Error(
        code=failure.code.value,
        message=failure.message,
        correlation_id=correlation_id or secrets.token_hex(8),
        action=action or UNSET,
        details=dict(failure.details),
        request_id=request_id or UNSET,
        timestamp=now_ms,
    )


def broadcast_state(state: session_api.BroadcastState) -> say.BroadcastState:
    """The speaker's controls."""
    return say.BroadcastState(
        is_active=state.is_active,
        is_paused=state.is_paused,
        is_muted=state.is_muted,
        volume=state.volume,
        last_state_change=state.last_change_ms,
    )


def session_status(
    session: session_api.Session,
    *,
    reason: say.UpdateReason,
    now_ms: int,
    request_id: str = "",
    lags: Mapping[str, int] | None = None,
) -> say.SessionStatus:
    """How a session stands; with `lags` (language -> ms), also how far its listeners are behind."""
    heard = session.audience.languages
    return say.SessionStatus(
        session_id=session.session_id,
        is_active=session.broadcast.is_active,
        listener_count=session.audience.listener_count,
        language_distribution=dict(session.audience.languages),
        session_duration=max(0, now_ms - session.created_at_ms) / 1000,
        broadcast_state=broadcast_state(session.broadcast),
        created_at=session.created_at_ms,
        expires_at=session.expires_at_ms,
        update_reason=reason,
        language_lag=UNSET if lags is None else {name: lag for name, lag in lags.items() if name in heard},
        timestamp=now_ms,
        request_id=request_id or UNSET,
    )


def state_notice(
    session_id: str, *, before: session_api.BroadcastState, after: session_api.BroadcastState, now_ms: int
) -> say.ServerMessage | None:
    """What listeners are told of a change of the speaker's controls; None when nothing they hear changed."""
    kinds: list[type[say._StateNotice]] = []
    if before.is_paused != after.is_paused:
        kinds.append(say.BroadcastPaused if after.is_paused else say.BroadcastResumed)
    if before.is_muted != after.is_muted:
        kinds.append(say.BroadcastMuted if after.is_muted else say.BroadcastUnmuted)
    if before.volume != after.volume:
        kinds.append(say.VolumeChanged)
    if not kinds:
        return None
    kind = kinds[0] if len(kinds) == 1 else say.SpeakerStateChanged
    return kind(session_id=session_id, broadcast_state=broadcast_state(after), timestamp=now_ms)


def status_reason(before: session_api.Audience, after: session_api.Audience) -> say.UpdateReason | None:
    """Why the speaker should hear of an audience change at once, if it should: a language that was not there,
    or a count that moved by more than a tenth.
    """
    if set(after.languages) - set(before.languages):
        return "newLanguage"
    if abs(after.listener_count - before.listener_count) * 10 > before.listener_count:
        return "listenerCountChange"
    return None


def transcript(segment: event.Transcript, *, now_ms: int, request_id: str = "") -> say.Transcript:
    """A segment in the language it was said in."""
    return say.Transcript(
        segment_id=str(segment.segment),
        revision=segment.revision,
        text=segment.text,
        stable_text=segment.stable_text,
        is_final=segment.is_final,
        stability=segment.stability,
        start_time=segment.start_ms / 1000,
        end_time=segment.end_ms / 1000,
        timestamp=now_ms,
        request_id=request_id or UNSET,
    )


def caption(language: str, segment: event.Caption, *, now_ms: int) -> say.Caption:
    """A segment in a listener's language."""
    return say.Caption(
        segment_id=str(segment.segment),
        revision=segment.revision,
        target_language=language,
        text=segment.text,
        source_text=segment.source_text,
        is_final=segment.is_final,
        timestamp=now_ms,
    )


def translated_audio(
    language: str, spoken: event.TranslatedAudio, *, opus: bool, inline: bool, now_ms: int
) -> tuple[say.TranslatedAudio, bytes]:
    """A spoken segment and its audio bytes; `inline` puts them into the message as base64 too.

    Where Opus is wanted but was not made (nobody wanted it when the sentence was spoken), it is PCM.
    """
    opus = opus and bool(spoken.opus)
    audio = spoken.opus if opus else spoken.pcm
    how, when = spoken.dynamics, spoken.timing
    message = say.TranslatedAudio(
        segment_id=str(spoken.segment),
        segment_ids=[str(number) for number in (spoken.segment, *spoken.merged)] if spoken.merged else UNSET,
        sequence_number=spoken.sequence,
        target_language=language,
        transcript=spoken.text,
        source_text=spoken.source_text,
        format="opus" if opus else "pcm",
        sample_rate=spoken.sample_rate_hz,
        channels=1,
        duration=spoken.duration_ms / 1000,
        pace=round(spoken.pace or 1.0, 3),
        dynamics=say.Dynamics(
            volume=round(how.volume, 2),
            rate=round(how.rate, 3),
            energy=round(how.energy, 4),
            emotion=how.emotion,
            intensity=round(how.intensity, 3),
        ),
        timing=say.Timing(
            transcribed=when.transcribed_ms,
            translated=when.translated_ms,
            synthesized=when.synthesized_ms,
            sent=now_ms - when.spoken_end_ms,
            heard=when.heard_ms,
        ),
        audio_data=base64.b64encode(audio).decode() if inline else UNSET,
        timestamp=now_ms,
    )
    return message, audio


def spoken_over(language: str, segment: event.SpokenOver, *, now_ms: int) -> say.SpokenOver:
    """A segment that stays without voice."""
    return say.SpokenOver(segment_id=str(segment.segment), target_language=language, timestamp=now_ms)


def service_notice(language: str, notice: event.ServiceNotice, *, now_ms: int) -> say.ServerMessage:
    """A station that failed, or recovered, for a language."""
    kind = say.ServiceDegraded if notice.degraded else say.SystemRecovered
    return kind(
        component=_COMPONENTS[notice.component],
        message=notice.message,
        target_language=language or UNSET,
        timestamp=now_ms,
    )


def quality(change: transcription_api.QualityEvent, *, now_ms: int) -> say.ServerMessage:
    """A warning about the speaker's sound, or the all-clear."""
    issue = QUALITY_NAMES[change.issue]
    if not change.active:
        return say.AudioQualityOk(issue=issue, timestamp=now_ms)
    return say.AudioQualityWarning(
        issue=issue,
        message=QUALITY_ADVICE[issue],
        details={_camel_case(name): round(value, 3) for name, value in change.measurements.items()},
        timestamp=now_ms,
    )


def _camel_case(name: str) -> str:
    """A name as clients see it: snr_db is snrDb."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
