"""The client's half of WebSocket."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from bench.load import frames
from bench.load.frames import KEPT_BYTES, FrameReader, Message, ProtocolFault, Upgrade

SIZES = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 65_535, 65_536, KEPT_BYTES + 1]))


@st.composite
def wires(draw: st.DrawFn) -> tuple[bytes, list[Message]]:
    """Frames as websockets writes them, whole and in pieces with pings between, and what should be read."""
    wire, expected = b"", []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.CLOSE]))
        control = kind in {Opcode.PING, Opcode.CLOSE}
        size = draw(st.integers(0, 125) if control else SIZES)
        data = draw(st.binary(min_size=1, max_size=16)) * (size // 1 + 1)
        data = data[:size]
        if control or draw(st.booleans()):
            wire += Frame(kind, data).serialize(mask=False)
        else:
            cut = draw(st.integers(0, size))
            wire += Frame(kind, data[:cut], fin=False).serialize(mask=False)
            if draw(st.booleans()):
                wire += Frame(Opcode.PING, b"still?").serialize(mask=False)
                expected.append((frames.PING, b"still?", 6))
            wire += Frame(Opcode.CONT, data[cut:]).serialize(mask=False)
        expected.append((int(kind), data[:KEPT_BYTES], size))
    return wire, expected


@given(wires(), st.lists(st.integers(1, 70_000), max_size=12), st.booleans())
def test_any_split_gives_the_same_messages(
    made: tuple[bytes, list[Message]], steps: list[int], bytewise: bool
) -> None:
    """What websockets writes is read, wherever the network cuts it."""
    wire, expected = made
    reader, got, place = FrameReader(), [], 0
    if bytewise:
        steps = [1] * min(len(wire), 200)
    for step in [*steps, len(wire)]:
        if chunk := wire[place : place + step]:
            got += reader.feed(memoryview(chunk))
        place += step
    assert got == expected


@given(st.binary(max_size=200))
@example(b"\x81\xff" + bytes(20))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nonsense is a ProtocolFault, and no other error."""
    reader = FrameReader()
    try:
        for place in range(0, len(data), 7):
            reader.feed(memoryview(data[place : place + 7]))
    except ProtocolFault:
        pass


@pytest.mark.parametrize(
    "wire",
    [
        b"\x81\x81abcdx",  # masked
        b"\xc1\x01x",  # compressed
        b"\x09\x00",  # a ping in pieces
        b"\x89\x7e\x00\x80",  # a ping that is too long
        b"\x80\x00",  # the end of nothing
        b"\x01\x00\x81\x00",  # a message within another
        b"\x83\x00",  # a kind that does not exist
    ],
)
def test_what_is_forbidden_is_a_fault(wire: bytes) -> None:
    """Frames that no server may send are not taken for messages."""
    with pytest.raises(ProtocolFault):
        FrameReader().feed(memoryview(wire))


def test_a_server_understands_what_is_written() -> None:
    """The server of websockets takes the upgrade, the message, the pong and the close."""
    server, upgrade = ServerProtocol(), Upgrade.new()
    server.receive_data(upgrade.request("127.0.0.1:80", "/"))
    (request,) = server.events_received()
    response = server.accept(request)  # type: ignore[arg-type]  # the first event is the request
    server.send_response(response)
    head = b"".join(server.data_to_send()).partition(b"\r\n\r\n")[0]
    assert upgrade.refusal(head) == ""
    assert Upgrade.new().refusal(head) == "no WebSocket"
    server.receive_data(frames.text(b'{"action":"heartbeat"}') + frames.pong(b"p") + frames.close(1000))
    assert [(event.opcode, event.data) for event in server.events_received()][:2] == [  # type: ignore[union-attr]
        (Opcode.TEXT, b'{"action":"heartbeat"}'),
        (Opcode.PONG, b"p"),
    ]
    assert server.close_rcvd is not None and server.close_rcvd.code == 1000


def test_a_refusal_has_its_status() -> None:
    """So that it can be counted."""
    upgrade = Upgrade.new()
    assert upgrade.refusal(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5") == "HTTP 503"
    assert upgrade.refusal(b"SSH-2.0") == "no HTTP"
    assert upgrade.refusal(b"HTTP/1.1 101 Switching") == "no WebSocket"
    assert frames.close_code(b"\x03\xe9") == 1001
    assert frames.close_code(b"") == 1005
