"""A small real WebSocket server that says what a test tells it to say."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from babelcast.protocol import codec
from babelcast.protocol.client_messages import (
    AnyClientMessage,
    ChangeLanguage,
    ControlBroadcast,
    CreateSession,
    EndSession,
    GetSessionStatus,
    Heartbeat,
    JoinSession,
    PausePlayback,
    RefreshConnection,
    ResumePlayback,
    SendAudio,
)
from babelcast.protocol.server_messages import (
    BroadcastControlled,
    BroadcastState,
    ConnectionRefreshComplete,
    Dynamics,
    Error,
    HeartbeatAck,
    LanguageChanged,
    PlaybackPaused,
    PlaybackResumed,
    ServerMessage,
    SessionCreated,
    SessionEnded,
    SessionJoined,
    SessionStatus,
    Timing,
    TranslatedAudio,
)

CODE = "golden-eagle-427"
STATE = BroadcastState(is_active=True, is_paused=False, is_muted=False, volume=1.0, last_state_change=0)
Answer = Callable[[AnyClientMessage], ServerMessage | None]


def make_voice(number: int, *, language: str = "es", audio: str | None = None) -> TranslatedAudio:
    """A spoken sentence with its number as text."""
    plain = TranslatedAudio(
        segment_id=f"s{number}",
        sequence_number=number,
        target_language=language,
        transcript=f"frase {number}",
        source_text=f"sentence {number}",
        format="pcm",
        sample_rate=16_000,
        channels=1,
        duration=1.0,
        dynamics=Dynamics(volume=0, rate=1, energy=0.1, emotion="neutral", intensity=0),
        timing=Timing(transcribed=1, translated=2, synthesized=3, sent=4),
    )
    return plain if audio is None else replace(plain, audio_data=audio)


def usual_answer(message: AnyClientMessage) -> ServerMessage | None:
    """What a gateway in good health says."""
    match message:
        case CreateSession():
            return SessionCreated(
                session_id=CODE,
                source_language=message.source_language,
                quality_tier=message.quality_tier,
                partial_results_enabled=True,
                min_stability_threshold=0.85,
                max_buffer_timeout=5,
                connection_id="c1",
                resume_token="resume-1",
                expires_at=0,
                join_url="",
            )
        case JoinSession():
            return SessionJoined(
                session_id=message.session_id,
                source_language="en",
                target_language=message.target_language,
                connection_id="c2",
                resume_token="resume-1",
                listener_count=1,
                quality_tier="standard",
                broadcast_state=STATE,
                last_sequence_number=0,
            )
        case RefreshConnection():
            return ConnectionRefreshComplete(
                session_id=message.session_id,
                role="listener",
                resume_token="resume-2",
                last_sequence_number=message.last_sequence_number or 0,
            )
        case GetSessionStatus():
            return SessionStatus(
                session_id=CODE,
                is_active=True,
                listener_count=1,
                language_distribution={"es": 1},
                session_duration=1.0,
                broadcast_state=STATE,
                created_at=0,
                expires_at=0,
                update_reason="requested",
            )
        case ControlBroadcast():
            return BroadcastControlled(
                control_action=message.control_action, broadcast_state=STATE, listeners_notified=0
            )
        case ChangeLanguage():
            return LanguageChanged(
                session_id=CODE, target_language=message.target_language, last_sequence_number=40
            )
        case PausePlayback():
            return PlaybackPaused(session_id=CODE)
        case ResumePlayback():
            return PlaybackResumed(session_id=CODE, last_sequence_number=90)
        case EndSession():
            return SessionEnded(session_id=CODE, reason=message.reason)
        case Heartbeat():
            return HeartbeatAck(server_time=1)
        case SendAudio():
            return None
        case _:
            return Error(code="INVALID_ACTION", message="No such action.", correlation_id="x")


@dataclass
class CannedServer:
    """Answers with `answer`, remembers what it heard; `say` speaks on the newest connection."""

    answer: Answer = usual_answer
    heard: list[AnyClientMessage] = field(default_factory=list)
    audio: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """Of the chunks, as a gateway counts them."""
    tokens: list[str] = field(default_factory=list)
    connections: list[ServerConnection] = field(default_factory=list)
    refuse: list[int] = field(default_factory=list)
    url: str = ""
    server: Server | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self) -> None:
        """Listen on any port."""
        self.server = await serve(self._serve, "127.0.0.1", 0, process_request=self._admit, compression=None)
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def say(self, *messages: ServerMessage) -> None:
        """Send messages to the newest connection."""
        for message in messages:
            await self.connections[-1].send(codec.encode_server(message).decode())

    async def say_raw(self, frame: str | bytes) -> None:
        """Send a frame to the newest connection."""
        await self.connections[-1].send(frame)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the server has seen enough."""
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(condition)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.tokens.append(request.headers.get("Authorization", ""))
        return connection.respond(self.refuse.pop(0), "refused") if self.refuse else None

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        await self._tell()
        async for frame in connection:
            if isinstance(frame, bytes):
                self._hear(frame, None)
            else:
                message = codec.decode_client(frame)
                self.heard.append(message)
                answer = self.answer(message)
                if isinstance(message, SendAudio) and answer is None:
                    self._hear(codec.audio_bytes(message), message.sequence)
                if answer is not None:
                    await connection.send(
                        codec.encode_server(replace(answer, request_id=message.request_id)).decode()
                    )
            await self._tell()

    def _hear(self, pcm: bytes, number: int | None) -> None:
        self.audio.append(pcm)
        self.numbers.append(number or (self.numbers[-1] if self.numbers else 0) + 1)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()
