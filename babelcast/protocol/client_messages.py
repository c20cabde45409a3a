"""What a client says. One struct per action; the struct's docstring and fields are the documentation."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

RequestId: TypeAlias = Annotated[str, Meta(max_length=64)]
LanguageTag: TypeAlias = Annotated[str, Meta(min_length=2, max_length=35)]
SessionCode: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z]{2,16}-[a-z]{2,16}-[1-9][0-9]{2}\Z")]
Volume: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Epoch: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)] | Annotated[float, Meta(ge=0, le=2**53)]
SequenceNumber: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
AudioChoice: TypeAlias = Literal["pcm", "opus", "none"]
DeliveryChoice: TypeAlias = Literal["json", "binary"]
CaptionChoice: TypeAlias = Literal["final", "partial"]
History: TypeAlias = Annotated[int, Meta(ge=0, le=600)]
QualityTier: TypeAlias = Literal["standard", "premium"]
ControlAction: TypeAlias = Literal["pause", "resume", "mute", "unmute"]
Term: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
Glossary: TypeAlias = Annotated[dict[Term, dict[LanguageTag, Term]], Meta(max_length=500)]


class ClientMessage(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Fields that any message may have."""

    request_id: RequestId = ""
    traceparent: str = ""


class CreateSession(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="createSession"):
    """Start a talk; the answer holds the code that listeners join with."""

    source_language: LanguageTag
    quality_tier: QualityTier = "standard"
    partial_results: bool = True
    min_stability: Annotated[float, Meta(ge=0.70, le=0.95)] = 0.85
    max_buffer_timeout: Annotated[float, Meta(ge=2, le=10)] = 5.0
    glossary: Glossary = {}
    token: str = ""


class JoinSession(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="joinSession"):
    """Listen to a talk in a language."""

    session_id: SessionCode
    target_language: LanguageTag
    audio: AudioChoice = "pcm"
    delivery: DeliveryChoice = "json"
    captions: CaptionChoice = "partial"
    history: History = 0
    resume_token: str = ""
    last_sequence_number: SequenceNumber | None = None


class SendAudio(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="sendAudio"):
    """A piece of the speaker's voice. A binary frame of PCM bytes alone says the same."""

    audio_data: str
    session_id: SessionCode = ""
    sequence: SequenceNumber | None = None
    timestamp: Epoch | None = None
    format: Literal["pcm", "raw"] = "pcm"
    sample_rate: int | None = None
    channels: int = 1
    encoding: Literal["s16le", "pcm_s16le", "pcm", "base64"] = "s16le"
    ack: bool = False


class ControlBroadcast(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="controlBroadcast"):
    """Pause, resume, mute or unmute the talk."""

    control_action: ControlAction
    session_id: SessionCode = ""


class SetVolume(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="setVolume"):
    """Scale the speaker's voice before anything else hears it."""

    volume_level: Volume
    session_id: SessionCode = ""


class SpeakerState(Struct, frozen=True, kw_only=True, rename="camel"):
    """Fields that are absent stay as they are."""

    is_paused: bool | None = None
    is_muted: bool | None = None
    volume: Volume | None = None


class SpeakerStateChange(
    ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="speakerStateChange"
):
    """Set several of the speaker's controls at once."""

    state: SpeakerState
    session_id: SessionCode = ""


class GetSessionStatus(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="getSessionStatus"):
    """Ask how the talk stands."""

    session_id: SessionCode = ""


class EndSession(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="endSession"):
    """End the talk for everybody."""

    session_id: SessionCode = ""
    reason: Annotated[str, Meta(max_length=64)] = "speakerEnded"


class ChangeLanguage(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="changeLanguage"):
    """Go on listening in another language."""

    target_language: LanguageTag
    session_id: SessionCode = ""


class PausePlayback(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="pausePlayback"):
    """Stop sending me voice; captions go on."""


class ResumePlayback(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="resumePlayback"):
    """Send me voice again, from now on."""


class Heartbeat(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="heartbeat"):
    """I am still here."""

    timestamp: Epoch | None = None


class RefreshConnection(
    ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="refreshConnection"
):
    """Take my role over on this new connection."""

    session_id: SessionCode
    resume_token: str
    last_sequence_number: SequenceNumber | None = None
    audio: AudioChoice = "pcm"
    delivery: DeliveryChoice = "json"
    captions: CaptionChoice = "partial"
    token: str = ""


class ListLanguages(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="listLanguages"):
    """Ask what can be spoken and what can be heard."""

    session_id: SessionCode = ""


class EditTranscript(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="editTranscript"):
    """Correct a sentence that was said."""

    segment_id: str
    text: Annotated[str, Meta(min_length=1, max_length=2000)]
    session_id: SessionCode = ""


class ListSessions(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="listSessions"):
    """Ask which sessions are on, a page at a time; for operators."""

    page_size: Annotated[int, Meta(ge=1, le=100)] = 50
    page_token: Annotated[str, Meta(max_length=128)] = ""
    token: str = ""


class ShowSession(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="showSession"):
    """Ask how any session stands; for operators."""

    session_id: SessionCode
    token: str = ""


class CloseSession(ClientMessage, frozen=True, kw_only=True, tag_field="action", tag="closeSession"):
    """End any session for everybody; for operators."""

    session_id: SessionCode
    reason: Annotated[str, Meta(min_length=1, max_length=64)] = "endedByOperator"
    token: str = ""


AnyClientMessage: TypeAlias = (
    CreateSession
    | JoinSession
    | SendAudio
    | ControlBroadcast
    | SetVolume
    | SpeakerStateChange
    | GetSessionStatus
    | EndSession
    | ChangeLanguage
    | PausePlayback
    | ResumePlayback
    | Heartbeat
    | RefreshConnection
    | ListLanguages
    | EditTranscript
    | ListSessions
    | ShowSession
    | CloseSession
)
