"""Frames to messages and back."""

import base64
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from babelcast.protocol import client_messages as client
from babelcast.protocol import server_messages as server
from babelcast.protocol.codec import (
    ACTIONS,
    ALIASES,
    Rejected,
    audio_bytes,
    decode_client,
    decode_server,
    encode_client,
    encode_server,
    from_fields,
    pack_binary,
    unpack_binary,
)

SERVER_KINDS = typing.get_args(server.AnyServerMessage)

# One message of each action with every field that it has.
FULL: list[client.AnyClientMessage] = [
    client.CreateSession(
        source_language="en",
        quality_tier="premium",
        partial_results=False,
        min_stability=0.7,
        max_buffer_timeout=10.0,
        glossary={"Babelcast": {"es": "Babelcast"}},
        token="a.b.c",
        request_id="r-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    client.JoinSession(
        session_id="golden-eagle-427",
        target_language="es-MX",
        audio="opus",
        delivery="binary",
        captions="final",
        resume_token="secret",
        last_sequence_number=7,
    ),
    client.SendAudio(
        audio_data="AAAA",
        session_id="golden-eagle-427",
        sequence=3,
        timestamp=1_700_000_000_000.5,
        format="raw",
        sample_rate=48_000,
        encoding="base64",
        ack=True,
    ),
    client.ControlBroadcast(control_action="mute", session_id="golden-eagle-427"),
    client.SetVolume(volume_level=0.5, session_id="golden-eagle-427"),
    client.SpeakerStateChange(
        state=client.SpeakerState(is_paused=True, is_muted=False, volume=1.0), session_id="golden-eagle-427"
    ),
    client.GetSessionStatus(session_id="golden-eagle-427"),
    client.EndSession(session_id="golden-eagle-427", reason="lunch"),
    client.ChangeLanguage(target_language="fr", session_id="golden-eagle-427"),
    client.PausePlayback(request_id="p"),
    client.ResumePlayback(request_id="q"),
    client.Heartbeat(timestamp=1_700_000_000_000),
    client.RefreshConnection(
        session_id="golden-eagle-427",
        resume_token="secret",
        last_sequence_number=0,
        audio="none",
        delivery="binary",
        captions="final",
        token="a.b.c",
    ),
    client.ListLanguages(session_id="golden-eagle-427"),
    client.EditTranscript(segment_id="12", text="What was meant.", session_id="golden-eagle-427"),
    client.ListSessions(page_size=3, page_token="next", token="a.b.c"),
    client.ShowSession(session_id="golden-eagle-427", token="a.b.c"),
    client.CloseSession(session_id="golden-eagle-427", reason="endedByOperator", token="a.b.c"),
]


def decoded(**fields: object) -> client.AnyClientMessage:
    """The message that a client's JSON with these fields is."""
    return decode_client(json.dumps(fields))


def rejection(text: str) -> Rejected:
    """Why a frame is refused."""
    with pytest.raises(Rejected) as caught:
        decode_client(text)
    return caught.value


class TestClientMessages:
    """What clients say."""

    def test_every_action_is_covered_here(self) -> None:
        """The list above holds each message of the protocol."""
        assert [type(message) for message in FULL] == list(ACTIONS.values())

    @pytest.mark.parametrize("message", FULL, ids=lambda message: type(message).__name__)
    def test_survive_the_wire(self, message: client.AnyClientMessage) -> None:
        """A message that is written and read is the same message."""
        assert decode_client(encode_client(message)) == message

    @pytest.mark.parametrize("message", FULL, ids=lambda message: type(message).__name__)
    def test_are_spelt_in_camel_case(self, message: client.AnyClientMessage) -> None:
        """No field's name on the wire has an underscore."""
        assert not [name for name in json.loads(encode_client(message)) if "_" in name]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                '{"action":"createSession","sourceLanguage":"en","qualityTier":"standard"}',
                client.CreateSession(source_language="en"),
            ),
            (
                '{"action":"joinSession","sessionId":"golden-eagle-427","targetLanguage":"es"}',
                client.JoinSession(session_id="golden-eagle-427", target_language="es"),
            ),
            (
                '{"action":"sendAudio","sessionId":"golden-eagle-427","audioData":"AAA=","timestamp":1,'
                '"format":"pcm","sampleRate":16000,"channels":1,"encoding":"s16le"}',
                client.SendAudio(
                    audio_data="AAA=", session_id="golden-eagle-427", timestamp=1, sample_rate=16_000
                ),
            ),
            (
                '{"action":"controlBroadcast","sessionId":"golden-eagle-427","controlAction":"pause"}',
                client.ControlBroadcast(control_action="pause", session_id="golden-eagle-427"),
            ),
            (
                '{"action":"getSessionStatus","sessionId":"golden-eagle-427"}',
                client.GetSessionStatus(session_id="golden-eagle-427"),
            ),
            ('{"action":"heartbeat"}', client.Heartbeat()),
        ],
    )
    def test_read_as_people_write_them(self, text: str, expected: client.AnyClientMessage) -> None:
        """Messages typed by hand are understood."""
        assert decode_client(text) == expected

    def test_ignore_fields_that_nobody_knows(self) -> None:
        """A newer client's extra fields do no harm."""
        assert decoded(action="heartbeat", mood="good") == client.Heartbeat()

    def test_take_null_for_absent(self) -> None:
        """A null field is a field that is not there."""
        assert decoded(action="getSessionStatus", sessionId=None, requestId=None) == client.GetSessionStatus()

    @pytest.mark.parametrize("alias", ALIASES)
    def test_have_aliases(self, alias: str) -> None:
        """Each alias says what its action says."""
        fields: dict[str, object] = {"audioData": "AAAA", "targetLanguage": "es"}
        name, implied = ALIASES[alias]
        assert decoded(action=alias, **fields) == decoded(action=name, **fields, **implied)

    def test_an_alias_means_what_it_says(self) -> None:
        """`pauseBroadcast` pauses, whatever else stands in the message."""
        assert decoded(action="pauseBroadcast", controlAction="resume") == client.ControlBroadcast(
            control_action="pause"
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A frame, and what is wrong with it."""

    text: str
    kind: type[BabelcastError]
    parameter: str = ""


def case(kind: type[BabelcastError], parameter: str, action: str, **fields: object) -> Case:
    """A message with one fault in the field `parameter`."""
    return Case(json.dumps({"action": action, **fields}), kind, parameter)


JOIN = {"sessionId": "golden-eagle-427", "targetLanguage": "es"}
REFUSED = [
    Case("", InvalidMessage),
    Case("hello", InvalidMessage),
    Case('{"action":"heartbeat"', InvalidMessage),
    Case('{"action":"heartbeat"} {}', InvalidMessage),
    Case('{"action":"heartbeat","timestamp":NaN}', InvalidMessage),
    Case('{"action":"heartbeat","timestamp":1e999}', InvalidMessage),
    Case('{"action":"heartbeat","requestId":"\\ud800"}', InvalidMessage),
    Case("[" * 100_000, InvalidMessage),
    Case("[]", InvalidMessage),
    Case('"heartbeat"', InvalidMessage),
    Case("null", InvalidMessage),
    Case("{}", MissingAction),
    Case('{"action":null}', MissingAction),
    Case('{"action":7}', InvalidParameter, "action"),
    Case('{"action":["heartbeat"]}', InvalidParameter, "action"),
    Case('{"action":"sing"}', InvalidAction),
    Case('{"action":"HEARTBEAT"}', InvalidAction),
    Case('{"action":""}', InvalidAction),
    case(InvalidParameter, "requestId", "heartbeat", requestId="x" * 65),
    case(InvalidParameter, "requestId", "heartbeat", requestId=7),
    case(InvalidParameter, "timestamp", "heartbeat", timestamp="now"),
    case(InvalidParameter, "timestamp", "heartbeat", timestamp=-1),
    case(InvalidParameter, "timestamp", "heartbeat", timestamp=10**30),
    case(MissingParameter, "sourceLanguage", "createSession"),
    case(InvalidLanguage, "sourceLanguage", "createSession", sourceLanguage="e"),
    case(InvalidLanguage, "sourceLanguage", "createSession", sourceLanguage=["en"]),
    case(InvalidParameter, "qualityTier", "createSession", sourceLanguage="en", qualityTier="gold"),
    case(InvalidParameter, "partialResults", "createSession", sourceLanguage="en", partialResults="yes"),
    case(InvalidParameter, "minStability", "createSession", sourceLanguage="en", minStability=0.69),
    case(InvalidParameter, "minStability", "createSession", sourceLanguage="en", minStability=0.96),
    case(InvalidParameter, "maxBufferTimeout", "createSession", sourceLanguage="en", maxBufferTimeout=1.9),
    case(InvalidParameter, "maxBufferTimeout", "createSession", sourceLanguage="en", maxBufferTimeout=11),
    case(InvalidParameter, "glossary", "createSession", sourceLanguage="en", glossary={"": {}}),
    case(InvalidParameter, "glossary[...]", "createSession", sourceLanguage="en", glossary={"a": 1}),
    case(InvalidParameter, "glossary[...]", "createSession", sourceLanguage="en", glossary={"a": {"e": "b"}}),
    case(
        InvalidParameter,
        "glossary[...][...]",
        "createSession",
        sourceLanguage="en",
        glossary={"a": {"es": ""}},
    ),
    case(MissingParameter, "sessionId", "joinSession", targetLanguage="es"),
    case(MissingParameter, "targetLanguage", "joinSession", sessionId="golden-eagle-427"),
    case(InvalidSessionId, "sessionId", "joinSession", sessionId="golden", targetLanguage="es"),
    case(InvalidSessionId, "sessionId", "joinSession", sessionId="Golden-Eagle-427", targetLanguage="es"),
    case(InvalidSessionId, "sessionId", "joinSession", sessionId="golden-eagle-027", targetLanguage="es"),
    case(InvalidSessionId, "sessionId", "joinSession", sessionId="golden-eagle-427\n", targetLanguage="es"),
    case(InvalidSessionId, "sessionId", "joinSession", sessionId=427, targetLanguage="es"),
    case(InvalidParameter, "audio", "joinSession", **JOIN, audio="mp3"),
    case(InvalidParameter, "delivery", "joinSession", **JOIN, delivery="post"),
    case(InvalidParameter, "captions", "joinSession", **JOIN, captions="all"),
    case(InvalidParameter, "lastSequenceNumber", "joinSession", **JOIN, lastSequenceNumber=-1),
    case(InvalidParameter, "lastSequenceNumber", "joinSession", **JOIN, lastSequenceNumber=1.5),
    case(MissingParameter, "audioData", "sendAudio"),
    case(InvalidAudioFormat, "audioData", "sendAudio", audioData=[1, 2]),
    case(InvalidAudioFormat, "format", "sendAudio", audioData="", format="mp3"),
    case(InvalidAudioFormat, "sampleRate", "sendAudio", audioData="", sampleRate="16k"),
    case(InvalidAudioFormat, "channels", "sendAudio", audioData="", channels="one"),
    case(InvalidAudioFormat, "encoding", "sendAudio", audioData="", encoding="ulaw"),
    case(InvalidParameter, "sequence", "sendAudio", audioData="", sequence=-1),
    case(MissingParameter, "controlAction", "controlBroadcast"),
    case(InvalidParameter, "controlAction", "controlBroadcast", controlAction="stop"),
    case(InvalidParameter, "volumeLevel", "setVolume", volumeLevel=1.01),
    case(InvalidParameter, "volumeLevel", "setVolume", volumeLevel=True),
    case(MissingParameter, "state", "speakerStateChange"),
    case(InvalidParameter, "state", "speakerStateChange", state=[]),
    case(InvalidParameter, "state.volume", "speakerStateChange", state={"volume": -0.1}),
    case(InvalidSessionId, "sessionId", "endSession", sessionId="x"),
    case(InvalidParameter, "reason", "endSession", reason="x" * 65),
    case(InvalidLanguage, "targetLanguage", "switchLanguage", targetLanguage="x" * 36),
    case(MissingParameter, "resumeToken", "refreshConnection", sessionId="golden-eagle-427"),
    case(InvalidParameter, "text", "editTranscript", segmentId="1", text=""),
    case(InvalidParameter, "text", "editTranscript", segmentId="1", text="x" * 2_001),
]


class TestRejections:
    """What is answered to frames that are no messages."""

    @pytest.mark.parametrize("wrong", REFUSED, ids=lambda wrong: f"{wrong.kind.__name__}-{wrong.text[:60]}")
    def test_name_the_fault(self, wrong: Case) -> None:
        """Each fault gets its own error, which names the field."""
        refused = rejection(wrong.text)
        assert type(refused.error) is wrong.kind
        assert refused.error.details.get("parameter", "") == wrong.parameter
        assert str(refused) == refused.error.message

    def test_carry_the_action_and_the_request(self) -> None:
        """A client can tell which of its messages was refused."""
        refused = rejection('{"action":"switchLanguage","requestId":"r-7"}')
        assert (refused.action, refused.request_id) == ("switchLanguage", "r-7")

    def test_do_not_repeat_an_unusable_request_id(self) -> None:
        """A request id that is too long is not sent back."""
        assert rejection(json.dumps({"action": "sing", "requestId": "x" * 65})).request_id == ""

    @pytest.mark.parametrize(
        "fields",
        [
            {"action": "x" * 100_000},
            {"action": "createSession", "sourceLanguage": "en", "qualityTier": "x" * 100_000},
        ],
    )
    def test_stay_short(self, fields: dict[str, object]) -> None:
        """However long the nonsense, the answer is short."""
        refused = rejection(json.dumps(fields))
        assert len(refused.error.message) < 400
        assert len(refused.action) <= 64

    @given(text=st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
    def test_are_all_that_noise_gets(self, text: str) -> None:
        """Random text is refused or, if it happens to be a message, taken: nothing else is raised."""
        try:
            decode_client(text)
        except Rejected as refused:
            assert refused.error.message

    @settings(max_examples=300)
    @given(data=st.data())
    def test_are_all_that_random_fields_get(
        self, data: st.DataObject, json_values: st.SearchStrategy[object]
    ) -> None:
        """Whatever JSON stands in a known action's fields is taken and can be written again, or refused."""
        kind = data.draw(st.sampled_from(list(ACTIONS.values())))
        names = [field.encode_name for field in msgspec.structs.fields(kind)]
        fields = data.draw(st.dictionaries(st.sampled_from(names), json_values))
        text = json.dumps({**fields, "action": kind.__struct_config__.tag})
        try:
            message = decode_client(text)
        except Rejected as refused:
            assert len(refused.error.message) < 400
        else:
            assert decode_client(encode_client(message)) == message

    def test_are_the_same_for_fields_from_elsewhere(self) -> None:
        """Fields that came in a URL are checked like a frame's."""
        with pytest.raises(Rejected) as caught:
            from_fields({"action": "joinSession", "sessionId": "golden-eagle-427"})
        assert isinstance(caught.value.error, MissingParameter)


class TestAudioBytes:
    """The sound in a `sendAudio`."""

    @given(pcm=st.binary(max_size=500))
    def test_are_what_was_sent(self, pcm: bytes) -> None:
        """Base64 is undone exactly."""
        assert audio_bytes(client.SendAudio(audio_data=base64.b64encode(pcm).decode())) == pcm

    @pytest.mark.parametrize("text", ["AAA", "A", "AA=A", "AAAA\n", "not base64!", "Ä", "-_-_"])
    def test_refuse_what_is_not_base64(self, text: str) -> None:
        """Truncated and foreign characters are told apart from sound."""
        with pytest.raises(InvalidAudioFormat):
            audio_bytes(client.SendAudio(audio_data=text))

    @pytest.mark.parametrize("channels", [0, 2, -1])
    def test_refuse_stereo(self, channels: int) -> None:
        """One channel is all there is."""
        with pytest.raises(InvalidAudioFormat) as caught:
            audio_bytes(client.SendAudio(audio_data="AAAA", channels=channels))
        assert caught.value.details["channels"] == channels


class TestServerMessages:
    """What the server says."""

    @pytest.mark.parametrize("kind", SERVER_KINDS, ids=lambda kind: kind.__name__)
    @settings(max_examples=25)
    @given(data=st.data())
    def test_survive_the_wire(
        self,
        kind: type[server.AnyServerMessage],
        data: st.DataObject,
        any_server_message: Callable[[type[msgspec.Struct]], st.SearchStrategy[server.AnyServerMessage]],
    ) -> None:
        """A message that is written and read is the same message."""
        message = data.draw(any_server_message(kind))
        written = encode_server(message)
        assert decode_server(written) == message
        assert decode_server(written.decode()) == message

    def test_leave_out_what_is_not_there(self) -> None:
        """An optional field without a value is absent, not null."""
        written = json.loads(encode_server(server.HeartbeatAck(server_time=2, timestamp=1)))
        assert written == {"type": "heartbeatAck", "timestamp": 1, "serverTime": 2}

    @given(frame=st.binary() | st.text())
    def test_refuse_noise(self, frame: bytes | str) -> None:
        """A client that hears noise gets one error for it."""
        with pytest.raises(InvalidMessage):
            decode_server(frame)

    @pytest.mark.parametrize(
        "frame",
        [
            b'{"type":"song"}',
            b'{"type":"heartbeatAck"}',
            b'{"type":"heartbeatAck","serverTime":1,"requestId":"\xff"}',
            '{"type":"error","code":"","message":"","correlationId":"","details":{"a":' + "[" * 10_000,
        ],
    )
    def test_refuse_what_this_client_does_not_know(self, frame: bytes | str) -> None:
        """Unknown types, missing fields, broken text and bottomless nesting are one error."""
        with pytest.raises(InvalidMessage):
            decode_server(frame)


class TestBinaryDelivery:
    """Sound without base64."""

    @given(audio=st.binary(max_size=500), now=st.integers(0, 2**53))
    def test_survives_the_wire(self, audio: bytes, now: int) -> None:
        """The header and the sound come back as they went."""
        header = server.HeartbeatAck(server_time=now)
        assert unpack_binary(pack_binary(encode_server(header), audio)) == (header, audio)

    def test_begins_with_the_length_of_the_header(self) -> None:
        """Four bytes, big-endian, as other languages expect them."""
        assert pack_binary(b"{}", b"\x01\x02") == b"\x00\x00\x00\x02{}\x01\x02"

    @given(frame=st.binary(max_size=64))
    def test_refuses_noise(self, frame: bytes) -> None:
        """Bytes that are no delivery are one error."""
        with pytest.raises(InvalidMessage):
            unpack_binary(frame)

    @given(data=st.data())
    def test_refuses_a_frame_that_was_cut(self, data: st.DataObject) -> None:
        """A frame that ends within its header is told."""
        header = encode_server(server.HeartbeatAck(server_time=1))
        cut = data.draw(st.integers(0, 3 + len(header)))
        with pytest.raises(InvalidMessage):
            unpack_binary(pack_binary(header, b"")[:cut])
