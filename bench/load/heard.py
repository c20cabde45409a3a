"""What a listener looks at in a server's message, and nothing else of it."""

from enum import IntEnum

import msgspec

from bench.load.frames import BINARY

_SOUND = b',"audioData":"'  # in JSON no text can hold this: a quotation mark within one has a backslash


class Kind(IntEnum):
    """What a message is to a listener."""

    TEXT = 0
    VOICE = 1
    SPOKEN_OVER = 2
    CONTROL = 3
    NOTICE = 4
    PERSONAL = 5


SHARED = frozenset({Kind.TEXT, Kind.VOICE, Kind.SPOKEN_OVER, Kind.CONTROL, Kind.NOTICE})
"""What all listeners of a language get alike."""

_KINDS = {
    "caption": Kind.TEXT,
    "transcript": Kind.TEXT,
    "translatedAudio": Kind.VOICE,
    "spokenOver": Kind.SPOKEN_OVER,
    "broadcastPaused": Kind.CONTROL,
    "broadcastResumed": Kind.CONTROL,
    "broadcastMuted": Kind.CONTROL,
    "broadcastUnmuted": Kind.CONTROL,
    "volumeChanged": Kind.CONTROL,
    "speakerStateChanged": Kind.CONTROL,
    "serviceDegraded": Kind.NOTICE,
    "systemRecovered": Kind.NOTICE,
}


class _State(msgspec.Struct, rename="camel"):
    last_state_change: int = 0


class _Timing(msgspec.Struct, rename="camel"):
    sent: int = 0


class Heard(msgspec.Struct, rename="camel"):
    """Fields of any message; those that a type does not have are as here."""

    type: str = ""
    timestamp: float = 0.0
    segment_id: str = ""
    segment_ids: list[str] = []
    revision: int = 0
    is_final: bool = False
    text: str = ""
    sequence_number: int = 0
    last_sequence_number: int = 0
    resume_token: str = ""
    code: str = ""
    reason: str = ""
    component: str = ""
    broadcast_state: _State = msgspec.field(default_factory=_State)
    timing: _Timing = msgspec.field(default_factory=_Timing)

    @property
    def kind(self) -> Kind:
        """What it is to a listener."""
        return _KINDS.get(self.type, Kind.PERSONAL)

    @property
    def segments(self) -> list[int]:
        """The segments it is about. Raises: ValueError when they are no numbers."""
        names = self.segment_ids or ([self.segment_id] if self.segment_id else [])
        return [int(name) for name in names]


_decoder = msgspec.json.Decoder(Heard)


def read(opcode: int, payload: bytes, size: int) -> Heard:
    """A message by its beginning: of a voice in JSON what comes before its sound is enough.

    Raises: ValueError when it is none.
    """
    if opcode == BINARY:
        end = 4 + int.from_bytes(payload[:4], "big")
        if end > len(payload):
            raise ValueError("a binary frame that is shorter than it says")
        return _decoder.decode(payload[4:end])
    if size > len(payload):
        payload = payload[: payload.index(_SOUND)] + b"}"
    return _decoder.decode(payload)
