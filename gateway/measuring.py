"""What a gateway counts and times, where that takes more than a line."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Final

from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import Protocol

from babelcast.errors import BabelcastError, ErrorCode
from babelcast.event.v1 import event_pb2 as event
from babelcast.telemetry import instruments as on
from babelcast.telemetry.zeros import CLOSED_WITH

PROBES: Final = frozenset({"/healthz", "/readyz"})
AUDIO: Final = "sendAudio"
_UNANSWERED_PING: Final = "keepalive ping timeout"


def answered(status: int) -> None:
    """Count an answer to an HTTP request."""
    on.HTTP_RESPONSES.add(1, {on.CLASS: f"{status // 100}xx"})


def refused(error: BabelcastError) -> None:
    """Count an error that a client is told."""
    on.ERRORS.add(1, {on.CODE: error.code.value})


def not_taken(error: BabelcastError) -> None:
    """Count a chunk of audio that is refused."""
    on.AUDIO_REFUSED.add(1, {on.CODE: error.code.value})


def timed_out(cause: str) -> None:
    """Count a connection that is given up."""
    on.CONNECTION_TIMEOUTS.add(1, {on.CAUSE: cause})


def broke(station: str, phase: str, error: BabelcastError) -> None:
    """Count a stream to a station that failed."""
    on.STREAM_FAILURES.add(1, {on.STATION: station, on.PHASE: phase, on.CODE: error.code.value})


def closed(protocol: Protocol) -> None:
    """Count a WebSocket that has ended. Clients may close with thousands of codes: those are one. One whose
    client does not answer pings is closed with 1011 to nobody: it broke, which is no fault of ours.
    """
    sent, received = protocol.close_sent, protocol.close_rcvd
    silent = sent is not None and sent.reason == _UNANSWERED_PING
    first = received if received is not None and (sent is None or protocol.close_rcvd_then_sent) else sent
    code = str(int(CloseCode.ABNORMAL_CLOSURE if first is None or silent else first.code))
    on.CONNECTIONS_CLOSED.add(1, {on.CODE: code if code in CLOSED_WITH else "other"})
    if silent:
        timed_out("heartbeat")


@contextlib.contextmanager
def message(action: str) -> Iterator[None]:
    """Time the answer to a client's message inside; audio is timed elsewhere."""
    began_s = time.perf_counter()
    try:
        yield
    finally:
        if action != AUDIO:
            on.CONTROL.record(time.perf_counter() - began_s, {on.ACTION: action})


@contextlib.contextmanager
def joining() -> Iterator[None]:
    """Count the joining of a listener inside, by how it ends; one who leaves meanwhile is no failure."""
    outcome = ErrorCode.INTERNAL_ERROR.value
    try:
        yield
        outcome = "ok"
    except BabelcastError as error:
        outcome = error.code.value
        raise
    except (asyncio.CancelledError, ConnectionClosed):
        outcome = ""
        raise
    finally:
        if outcome:
            on.JOINS.add(1, {on.OUTCOME: outcome})


class Lateness:
    """How late one topic's listeners get what was said. A sentence counts once, not again when corrected."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._newest = {"caption": -1, "voice": -1}

    def delivered(self, broadcast: event.Broadcast, *, now_ms: int) -> None:
        """Note what has been written to the listeners."""
        match broadcast.WhichOneof("payload"):
            case "caption" if broadcast.caption.is_final and not broadcast.caption.late:
                caption = broadcast.caption
                self._note("caption", caption.segment, caption.spoken_end_ms, now_ms)
            case "transcript" if broadcast.transcript.is_final:
                said = broadcast.transcript
                self._note("caption", said.segment, said.sentence.spoken_end_ms, now_ms)
            case "audio":
                spoken = broadcast.audio
                self._note("voice", spoken.segment, spoken.timing.spoken_end_ms, now_ms)

    def _note(self, kind: str, segment: int, spoken_end_ms: int, now_ms: int) -> None:
        if spoken_end_ms and segment > self._newest[kind]:
            self._newest[kind] = segment
            late_s = max(0, now_ms - spoken_end_ms) / 1000
            on.END_TO_END.record(late_s, {on.KIND: kind, on.LANGUAGE: self._language})
