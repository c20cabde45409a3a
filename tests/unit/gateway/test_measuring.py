"""What a gateway counts and times."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest
from websockets.frames import Close
from websockets.protocol import Protocol

from babelcast.errors import Conflict, ServiceUnavailable
from babelcast.event.v1 import event_pb2 as event
from gateway import measuring
from tests.measured import Measured

CLOSED = "babelcast.gateway.connections_closed"
END_TO_END = "babelcast.gateway.end_to_end"


def ended(
    sent: tuple[int, str] | None, received: tuple[int, str] | None, *, theirs_first: bool | None = None
) -> Protocol:
    """A WebSocket that was closed so."""
    return cast(
        Protocol,
        SimpleNamespace(
            close_sent=Close(*sent) if sent else None,
            close_rcvd=Close(*received) if received else None,
            close_rcvd_then_sent=theirs_first,
        ),
    )


@pytest.mark.parametrize(
    ("protocol", "code"),
    [
        (ended(None, None), "1006"),
        (ended((1001, ""), None), "1001"),
        (ended((1001, ""), (1001, ""), theirs_first=False), "1001"),
        (ended((1000, ""), (1000, ""), theirs_first=True), "1000"),
        (ended((4408, ""), (4999, ""), theirs_first=False), "4408"),
        (ended((4999, ""), (4999, ""), theirs_first=True), "other"),
        (ended(None, (3001, "")), "other"),
        (ended((1011, "internal error"), None), "1011"),
        (ended((1011, "keepalive ping timeout"), None), "1006"),
    ],
)
def test_who_closes_first_gives_the_code(protocol: Protocol, code: str, measured: Measured) -> None:
    """Codes that clients make up are one."""
    measuring.closed(protocol)
    assert measured.total(CLOSED, code=code) == measured.total(CLOSED) == 1


def test_an_unanswered_ping_is_a_timeout(measured: Measured) -> None:
    """By the words that websockets closes with; other ends are none."""
    measuring.closed(ended((1011, "keepalive ping timeout"), None))
    measuring.closed(ended((1011, "internal error"), None))
    assert measured.total("babelcast.gateway.connection_timeouts", cause="heartbeat") == 1


async def test_joins_count_by_their_end(measured: Measured) -> None:
    """With the error's code, also of what is our fault; who leaves meanwhile is no failure."""
    with measuring.joining():
        pass
    for error in (Conflict("no"), RuntimeError(), asyncio.CancelledError()):
        with pytest.raises(type(error)), measuring.joining():
            raise error
    joins = "babelcast.gateway.joins"
    assert measured.total(joins, outcome="ok") == 1
    assert measured.total(joins, outcome="CONFLICT") == 1
    assert measured.total(joins, outcome="INTERNAL_ERROR") == 1
    assert measured.total(joins) == 3


def test_messages_are_timed_but_for_audio(measured: Measured) -> None:
    """Also those that fail; a talk's audio would hide all others."""
    with measuring.message("getSessionStatus"), measuring.message("sendAudio"):
        pass
    with pytest.raises(ServiceUnavailable), measuring.message("createSession"):
        raise ServiceUnavailable("no")
    assert measured.times("babelcast.gateway.control") == 2
    assert measured.times("babelcast.gateway.control", action="createSession") == 1


def caption(segment: int, *, said_ms: int, late: bool = False, final: bool = True) -> event.Broadcast:
    """A caption of something said."""
    return event.Broadcast(
        caption=event.Caption(segment=segment, is_final=final, late=late, spoken_end_ms=said_ms)
    )


def test_a_sentence_is_late_once(measured: Measured) -> None:
    """Corrections, captions of open sentences and those for late comers are not what listeners wait for."""
    lateness = measuring.Lateness("es")
    lateness.delivered(caption(1, said_ms=1_000, final=False), now_ms=9_000)
    lateness.delivered(caption(1, said_ms=1_000), now_ms=3_500)
    lateness.delivered(caption(1, said_ms=1_000), now_ms=60_000)
    lateness.delivered(caption(2, said_ms=1_000, late=True), now_ms=60_000)
    lateness.delivered(caption(3, said_ms=5_000), now_ms=5_500)
    assert measured.times(END_TO_END, kind="caption", language="es") == 2
    assert measured.total(END_TO_END) == pytest.approx(3.0)


def test_voices_and_transcripts_have_their_lateness(measured: Measured) -> None:
    """A voice has its own; a transcript is the caption of those who listen in the language spoken."""
    lateness = measuring.Lateness("en")
    spoken = event.TranslatedAudio(segment=0, timing=event.Timing(spoken_end_ms=1_000))
    lateness.delivered(event.Broadcast(audio=spoken), now_ms=3_000)
    said = event.Transcript(segment=0, is_final=True, sentence=event.Sentence(spoken_end_ms=1_000))
    lateness.delivered(event.Broadcast(transcript=said), now_ms=2_000)
    lateness.delivered(event.Broadcast(notice=event.ServiceNotice()), now_ms=9_000)
    assert measured.total(END_TO_END, kind="voice", language="en") == pytest.approx(2.0)
    assert measured.total(END_TO_END, kind="caption", language="en") == pytest.approx(1.0)


def test_clocks_that_disagree_make_nothing_negative(measured: Measured) -> None:
    """A listener's gateway may be behind the speaker's."""
    measuring.Lateness("es").delivered(caption(1, said_ms=5_000), now_ms=4_000)
    assert measured.times(END_TO_END) == 1
    assert measured.total(END_TO_END) == 0
