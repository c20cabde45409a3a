"""Frames to messages and back: strict where the client speaks, with an error that names the field."""

import base64
import binascii
import re
import typing
from typing import Final

import msgspec

from babelcast.errors import (
    BabelcastError,
    InvalidAction,
    InvalidAudioFormat,
    InvalidLanguage,
    InvalidMessage,
    InvalidParameter,
    InvalidSessionId,
    MissingAction,
    MissingParameter,
)
from babelcast.protocol.client_messages import AnyClientMessage, ClientMessage, SendAudio
from babelcast.protocol.server_messages import AnyServerMessage, ServerMessage

ALIASES: Final = {
    "audioChunk": ("sendAudio", {}),
    "switchLanguage": ("changeLanguage", {}),
    "pauseBroadcast": ("controlBroadcast", {"controlAction": "pause"}),
    "resumeBroadcast": ("controlBroadcast", {"controlAction": "resume"}),
    "muteBroadcast": ("controlBroadcast", {"controlAction": "mute"}),
    "unmuteBroadcast": ("controlBroadcast", {"controlAction": "unmute"}),
}
ACTIONS: Final[dict[str, type[AnyClientMessage]]] = {
    str(kind.__struct_config__.tag): kind for kind in typing.get_args(AnyClientMessage)
}

_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`(?: - at `\$\.?(?P<path>.*)`)?")
_AT = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>.*)`$")
_MAX_EXPLANATION = 200
_AUDIO_FIELDS = {"audioData", "format", "sampleRate", "channels", "encoding"}

_encoder = msgspec.json.Encoder()
_server_decoder: msgspec.json.Decoder[AnyServerMessage] = msgspec.json.Decoder(AnyServerMessage)


class Rejected(Exception):
    """A frame that is not a valid message: the error to answer, with what could be read of the frame."""

    def __init__(self, error: BabelcastError, *, action: str = "", request_id: str = "") -> None:
        super().__init__(error.message)
        self.error = error
        self.action = action
        self.request_id = request_id


def decode_client(text: str) -> AnyClientMessage:
    """The message in a text frame.

    Raises: Rejected.
    """
    try:
        # not json.loads: it lets lone surrogates and infinities in, which could not be answered
        fields = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise Rejected(InvalidMessage("The frame is not JSON.")) from error
    if not isinstance(fields, dict):
        raise Rejected(InvalidMessage("A message is one JSON object."))
    return from_fields(fields)


def from_fields(fields: dict[str, object]) -> AnyClientMessage:
    """The message in an object's fields. Null fields count as absent.

    Raises: Rejected.
    """
    request_id = fields.get("requestId")
    request_id = request_id if isinstance(request_id, str) and len(request_id) <= 64 else ""  # noqa: PLR2004
    action = fields.get("action")
    if action is None:
        raise Rejected(MissingAction(), request_id=request_id)
    if not isinstance(action, str):
        raise Rejected(InvalidParameter("action", "a string is expected."), request_id=request_id)
    name, implied = ALIASES.get(action, (action, {}))
    kind = ACTIONS.get(name)
    if kind is None:
        raise Rejected(InvalidAction(action), action=action[:64], request_id=request_id)
    present = {key: value for key, value in fields.items() if value is not None}
    present |= {"action": name, **implied}
    try:
        return msgspec.convert(present, kind)
    except msgspec.ValidationError as error:
        raise Rejected(_explain(str(error)), action=action, request_id=request_id) from error


def audio_bytes(message: SendAudio) -> bytes:
    """The PCM in a `sendAudio`.

    Raises: InvalidAudioFormat when it is not whole base64, or not mono.
    """
    if message.channels != 1:
        raise InvalidAudioFormat("The audio must be mono.", channels=message.channels)
    try:
        return base64.b64decode(message.audio_data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidAudioFormat("audioData is not valid base64.") from error


def encode_client(message: ClientMessage) -> str:
    """A client's message as a text frame."""
    return _encoder.encode(message).decode()


def encode_server(message: ServerMessage) -> bytes:
    """A server's message as the bytes of a text frame."""
    return _encoder.encode(message)


def decode_server(text: str | bytes) -> AnyServerMessage:
    """The server's message in a text frame, for clients.

    Raises: InvalidMessage.
    """
    try:
        return _server_decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage("The server sent what this client does not know.") from error


def pack_binary(header: bytes, audio: bytes) -> bytes:
    """A binary delivery: 4-byte big-endian length, the JSON header, the audio."""
    return len(header).to_bytes(4, "big") + header + audio


def unpack_binary(frame: bytes) -> tuple[AnyServerMessage, bytes]:
    """The message and the audio of a binary delivery.

    Raises: InvalidMessage.
    """
    end = 4 + int.from_bytes(frame[:4], "big")
    if len(frame) < end:
        raise InvalidMessage("The binary frame is shorter than it says.")
    return decode_server(frame[4:end]), frame[end:]


def _explain(text: str) -> BabelcastError:
    missing = _MISSING.search(text)
    if missing is not None:
        path = f"{missing['path']}.{missing['field']}" if missing["path"] else missing["field"]
        return MissingParameter(path)
    at = _AT.search(text)
    path = at["path"] if at is not None else ""
    if path == "sessionId":
        return InvalidSessionId()
    if path.lower().endswith("language"):
        return InvalidLanguage(path)
    # cut short, since it may repeat what the client sent
    expected = (text[: at.start()] if at is not None else text)[:_MAX_EXPLANATION]
    if path in _AUDIO_FIELDS:
        return InvalidAudioFormat(f"{path}: {expected}.", parameter=path)
    return InvalidParameter(path, f"{expected}.")
