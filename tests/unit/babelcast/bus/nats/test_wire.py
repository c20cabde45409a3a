"""How broadcasts stand in the stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from babelcast.bus.base import Topic
from babelcast.bus.nats import wire
from babelcast.event.v1.event_pb2 import Broadcast

KINDS: list[wire.Kind] = ["broadcast", "claim", "keep", "end"]


@given(some.sampled_from(KINDS), some.integers(0), some.integers(0), some.integers(0))
def test_a_mark_is_read_as_it_was_written(
    kind: wire.Kind, sequence: int, epoch: int, expected_last: int
) -> None:
    """Headers hold all that a mark says."""
    mark = wire.Mark(kind, sequence, epoch, "owner", "owner-1")
    headers = mark.headers(expected_last=expected_last)
    assert wire.Mark.read(headers) == mark
    assert headers[wire.EXPECTED_LAST] == str(expected_last)
    assert wire.TRACEPARENT not in headers


def test_what_others_wrote_is_a_broadcast_without_number() -> None:
    """No headers, or ones that mean nothing here."""
    for headers in (None, {}, {wire.KIND: "strange"}):
        assert wire.Mark.read(headers) == wire.Mark("broadcast", 0, 0, "")


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.BABELCAST.c0ffee.1.57.3.1700000000500000000.8",
        "$JS.ACK.hub.ACCHASH.BABELCAST.c0ffee.1.57.3.1700000000500000000.8.token",
    ],
)
def test_a_delivery_is_read_from_either_reply(reply: str) -> None:
    """Servers with a domain say more."""
    assert wire.Delivery.read(reply) == wire.Delivery(place=57, count=3, stored_s=1_700_000_000.5, pending=8)


def test_a_subject_names_its_topic() -> None:
    """There and back."""
    topic = Topic("golden-eagle-427", "pt-BR")
    assert wire.topic_of(wire.subject(topic)) == topic


def test_only_open_text_passes() -> None:
    """What is final, spoken or told is kept."""
    passing, final, spoken = Broadcast(), Broadcast(), Broadcast()
    passing.transcript.text = "so far"
    final.caption.is_final = True
    spoken.audio.sequence = 1
    assert [wire.is_passing(one) for one in (passing, final, spoken)] == [True, False, False]
