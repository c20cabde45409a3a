"""What the server says. One struct per type; absent optional fields are left out of the JSON."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

Role: TypeAlias = Literal["speaker", "listener"]
Component: TypeAlias = Literal["transcription", "translation", "speech"]
QualityIssue: TypeAlias = Literal["snr_low", "clipping", "echo", "silence"]
UpdateReason: TypeAlias = Literal["requested", "periodic", "listenerCountChange", "newLanguage"]
RefreshReason: TypeAlias = Literal["maxDuration", "draining"]
Text: TypeAlias = str | UnsetType


class ServerMessage(Struct, frozen=True, kw_only=True, rename="camel"):
    """Fields that any message has: when it was made (ms since the Unix epoch), and whose answer it is."""

    timestamp: int = 0
    request_id: Text = UNSET


class BroadcastState(Struct, frozen=True, kw_only=True, rename="camel"):
    """The speaker's controls."""

    is_active: bool
    is_paused: bool
    is_muted: bool
    volume: float
    last_state_change: int


class SessionCreated(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="sessionCreated"):
    """The talk is on; listeners join with `sessionId`."""

    session_id: str
    source_language: str
    quality_tier: str
    partial_results_enabled: bool
    min_stability_threshold: float
    max_buffer_timeout: float
    connection_id: str
    resume_token: str
    expires_at: int
    join_url: str


class SessionJoined(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="sessionJoined"):
    """You are in."""

    session_id: str
    source_language: str
    target_language: str
    connection_id: str
    resume_token: str
    listener_count: int
    quality_tier: str
    broadcast_state: BroadcastState
    last_sequence_number: int


class Transcript(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="transcript"):
    """What is being said, in the language it is said in."""

    segment_id: str
    revision: int
    text: str
    stable_text: str
    is_final: bool
    stability: float
    start_time: float
    end_time: float


class Caption(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="caption"):
    """What is being said, in the listener's language."""

    segment_id: str
    revision: int
    target_language: str
    text: str
    source_text: str
    is_final: bool


class Dynamics(Struct, frozen=True, kw_only=True, rename="camel"):
    """How it was said: dB and rate against the speaker's usual, energy 0 to 1, and an arousal rule."""

    volume: float
    rate: float
    energy: float
    emotion: str
    intensity: float


class Timing(Struct, frozen=True, kw_only=True, rename="camel"):
    """Milliseconds from the end of the spoken segment to each station's exit, and to its voice."""

    transcribed: int
    translated: int
    synthesized: int
    sent: int
    heard: int = 0


class TranslatedAudio(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="translatedAudio"):
    """A sentence in the listener's language, spoken. `audioData` is absent in binary delivery.

    When the voice is behind, several sentences are spoken as one.
    """

    segment_id: str
    segment_ids: Sequence[str] | UnsetType = UNSET
    sequence_number: int
    target_language: str
    transcript: str
    source_text: str
    format: str
    sample_rate: int
    channels: int
    duration: float
    pace: float = 1.0
    dynamics: Dynamics
    timing: Timing
    audio_data: Text = UNSET


class SpokenOver(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="spokenOver"):
    """A sentence that has a caption and stays without voice, so that the voice keeps up with the speaker."""

    segment_id: str
    target_language: str


class BroadcastControlled(
    ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="broadcastControlled"
):
    """The speaker's control took effect."""

    control_action: str
    broadcast_state: BroadcastState
    listeners_notified: int


class _StateNotice(ServerMessage, frozen=True, kw_only=True):
    session_id: str
    broadcast_state: BroadcastState


class BroadcastPaused(_StateNotice, frozen=True, kw_only=True, tag_field="type", tag="broadcastPaused"):
    """The speaker paused."""


class BroadcastResumed(_StateNotice, frozen=True, kw_only=True, tag_field="type", tag="broadcastResumed"):
    """The speaker goes on."""


class BroadcastMuted(_StateNotice, frozen=True, kw_only=True, tag_field="type", tag="broadcastMuted"):
    """The speaker muted the microphone."""


class BroadcastUnmuted(_StateNotice, frozen=True, kw_only=True, tag_field="type", tag="broadcastUnmuted"):
    """The speaker unmuted the microphone."""


class VolumeChanged(_StateNotice, frozen=True, kw_only=True, tag_field="type", tag="volumeChanged"):
    """The speaker's volume changed."""


class SpeakerStateChanged(
    _StateNotice, frozen=True, kw_only=True, tag_field="type", tag="speakerStateChanged"
):
    """Several of the speaker's controls changed."""


class SessionStatus(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="sessionStatus"):
    """How the talk stands."""

    session_id: str
    is_active: bool
    listener_count: int
    language_distribution: Mapping[str, int]
    session_duration: float
    broadcast_state: BroadcastState
    created_at: int
    expires_at: int
    update_reason: UpdateReason
    language_lag: Mapping[str, int] | UnsetType = UNSET


class AudioQualityWarning(
    ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="audio_quality_warning"
):
    """Something is wrong with the speaker's sound, and what to do about it."""

    issue: QualityIssue
    message: str
    details: Mapping[str, float]


class AudioQualityOk(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="audio_quality_ok"):
    """It has cleared."""

    issue: QualityIssue


class LanguageChanged(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="languageChanged"):
    """You go on in another language."""

    session_id: str
    target_language: str
    last_sequence_number: int


class PlaybackPaused(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="playbackPaused"):
    """No voice until you resume."""

    session_id: str


class PlaybackResumed(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="playbackResumed"):
    """Voice comes again."""

    session_id: str
    last_sequence_number: int


class HeartbeatAck(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="heartbeatAck"):
    """Heard you. `timestamp` is the one you sent, if you sent one."""

    server_time: int


class AudioReceived(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="audioReceived"):
    """Chunks taken in so far; at most once a second."""

    chunks: int
    duration: float


class Languages(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="languages"):
    """What can be spoken, and what each can be heard in."""

    source: Sequence[str]
    targets: Mapping[str, Sequence[str]]


class StateRestored(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="stateRestored"):
    """Your controls are as you left them."""

    session_id: str
    broadcast_state: BroadcastState


class ConnectionRefreshRequired(
    ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="connectionRefreshRequired"
):
    """Open a new connection and refresh before `refreshBy`."""

    session_id: str
    role: Role
    refresh_by: int
    reason: RefreshReason


class ConnectionRefreshComplete(
    ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="connectionRefreshComplete"
):
    """Your role is on this connection now."""

    session_id: str
    role: Role
    resume_token: str
    last_sequence_number: int
    last_audio_sequence: int | UnsetType = UNSET
    target_language: Text = UNSET


class ConnectionWarning(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="connectionWarning"):
    """The connection will be closed."""

    message: str
    remaining_minutes: int


class ConnectionTimeout(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="connectionTimeout"):
    """The connection is being closed."""

    message: str
    idle_seconds: int


class EngineUse(Struct, frozen=True, kw_only=True, rename="camel"):
    """What one engine did."""

    component: Component
    engine: str
    language: Text = UNSET
    amount: float
    unit: Literal["character", "second"]
    cost_usd: float


class Usage(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a talk used of the engines, and what that cost."""

    listener_hours: float
    cost_usd: float
    cost_per_listener_hour: float | UnsetType = UNSET
    engines: Sequence[EngineUse]


class SessionEnded(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="sessionEnded"):
    """The talk is over."""

    session_id: str
    reason: str
    usage: Usage | UnsetType = UNSET


class SessionView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A session as operators see it."""

    session_id: str
    source_language: str
    quality_tier: str
    created_at: int
    expires_at: int
    listener_count: int
    language_distribution: Mapping[str, int]
    broadcast_state: BroadcastState
    speaker_hash: str
    speaker_present: bool


class SessionList(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="sessionList"):
    """Sessions that are on, in no particular order."""

    sessions: Sequence[SessionView]
    next_page_token: Text = UNSET


class SessionShown(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="sessionShown"):
    """How a session stands, for operators."""

    session: SessionView
    partial_results_enabled: bool
    min_stability_threshold: float
    max_buffer_timeout: float
    glossary_terms: int


class SessionClosed(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="sessionClosed"):
    """The session was ended for everybody."""

    session_id: str
    reason: str
    listener_count: int


class ServiceDegraded(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="serviceDegraded"):
    """A station failed; what still works goes on."""

    component: Component
    message: str
    target_language: Text = UNSET


class SystemRecovered(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="systemRecovered"):
    """It works again."""

    component: Component
    message: str
    target_language: Text = UNSET


class Error(ServerMessage, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """What could not be done, and why."""

    code: str
    message: str
    correlation_id: str
    action: Text = UNSET
    details: Mapping[str, object] = {}


AnyServerMessage: TypeAlias = (
    SessionCreated
    | SessionJoined
    | Transcript
    | Caption
    | TranslatedAudio
    | SpokenOver
    | BroadcastControlled
    | BroadcastPaused
    | BroadcastResumed
    | BroadcastMuted
    | BroadcastUnmuted
    | VolumeChanged
    | SpeakerStateChanged
    | SessionStatus
    | AudioQualityWarning
    | AudioQualityOk
    | LanguageChanged
    | PlaybackPaused
    | PlaybackResumed
    | HeartbeatAck
    | AudioReceived
    | Languages
    | StateRestored
    | ConnectionRefreshRequired
    | ConnectionRefreshComplete
    | ConnectionWarning
    | ConnectionTimeout
    | SessionEnded
    | ServiceDegraded
    | SystemRecovered
    | SessionList
    | SessionShown
    | SessionClosed
    | Error
)
