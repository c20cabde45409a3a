"""One listener: what it has heard, and how it comes back when it is cut."""

import random
import time
from collections.abc import Callable
from typing import Protocol

from babelcast.client.failures import FINAL_CLOSES, TRY_AGAIN
from babelcast.protocol.client_messages import (
    AudioChoice,
    CaptionChoice,
    DeliveryChoice,
    JoinSession,
    RefreshConnection,
)
from babelcast.protocol.codec import encode_client
from bench.load import frames
from bench.load.heard import Heard, Kind
from bench.load.line import Line
from bench.load.room import Known, Room
from bench.load.tally import Tally, count

BACKOFF_BASE_S = 0.25
BACKOFF_CAP_S = 8.0
ANSWER_WITHIN_S = 15.0
AT_MOST_AWAY_S = 120.0
GAP_AT_MOST = 10_000
"""Of a larger gap the numbers are counted, and not remembered."""

HEARTBEAT = frames.text(b'{"action":"heartbeat"}')


class House(Protocol):
    """What seats need of the crowd that they are in."""

    tally: Tally
    audio: AudioChoice
    delivery: DeliveryChoice
    captions: CaptionChoice
    talking: bool
    over: bool

    def dial(self, seat: "Seat") -> None:
        """Make a connection for this seat: `on_open` follows, or `on_refused`."""

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call in a while."""


class Seat:
    """A listener of a room. `place` spreads seats over addresses."""

    __slots__ = (
        "_attempt",
        "_away_since_ms",
        "_dialling",
        "_due_ms",
        "_first",
        "_forgotten",
        "_house",
        "_line",
        "_missing",
        "_next",
        "_resumed_ms",
        "_texts",
        "_token",
        "ended",
        "gone",
        "joined",
        "last",
        "place",
        "room",
    )

    def __init__(self, house: House, room: Room, place: int) -> None:
        self.room = room
        self.place = place
        self.joined = False
        self.ended = False
        self.gone = False
        """Has given up."""
        self.last = 0
        self._house = house
        self._line: Line | None = None
        self._next: Line | None = None
        self._dialling = False
        self._token = ""
        self._attempt = 0
        self._due_ms = 0.0
        self._away_since_ms = 0.0
        self._resumed_ms = 0.0
        self._missing: set[int] | None = None
        self._forgotten = 0
        self._texts = 0
        self._first = 0

    @property
    def seated(self) -> bool:
        """Whether messages come."""
        return self._line is not None

    @property
    def missing(self) -> int:
        """Numbers before the last that never came."""
        return self._forgotten + len(self._missing or ())

    @property
    def texts(self) -> str:
        """See RoomEnd.texts."""
        return f"{self._first:x}:{self._texts:x}"

    def join(self, due_ms: float) -> None:
        """Come in; `due_ms` is when that was to be."""
        self._due_ms = self._away_since_ms = due_ms
        self._dial()

    def heartbeat(self) -> None:
        """Say that one is there."""
        if self._line is not None:
            self._line.send(HEARTBEAT)
            self._house.tally.heartbeats += 1

    def leave(self) -> None:
        """Go."""
        for line in (self._line, self._next):
            if line is not None:
                line.leave()

    def cut(self) -> None:
        """Lose the connection, as when a network breaks."""
        if self._line is not None:
            self._line.cut()

    def on_dialled(self, line: Line) -> None:
        """This is to be the next connection."""
        self._next = line

    def on_open(self, line: Line) -> None:
        """Take the seat, or ask for it again."""
        house = self._house
        message: JoinSession | RefreshConnection
        if self._token:
            line.last = self.last
            message = RefreshConnection(
                session_id=self.room.session_id,
                resume_token=self._token,
                last_sequence_number=self.last,
                audio=house.audio,
                delivery=house.delivery,
                captions=house.captions,
            )
        else:
            message = JoinSession(
                session_id=self.room.session_id,
                target_language=self.room.language,
                audio=house.audio,
                delivery=house.delivery,
                captions=house.captions,
            )
        line.asked = True
        line.send(frames.text(encode_client(message).encode()))
        house.later(ANSWER_WITHIN_S, lambda: line.cut() if line.asked else None)

    def on_refused(self, line: Line | None, why: str) -> None:  # noqa: ARG002 - there may be none yet
        """No connection: try again."""
        count(self._house.tally.refused, why)
        self._again()

    def on_ping(self) -> None:
        """A ping was answered."""
        self._house.tally.pongs += 1

    def on_fault(self) -> None:
        """Something came that is no message."""
        self._house.tally.unread += 1

    def on_lost(self, line: Line, code: int) -> None:
        """Come back, unless this was not the connection in use or there is no reason to."""
        if line is self._next:
            if not (self.ended or self._house.over):
                count(self._house.tally.refused, f"close {code}")
            self._again()
        if line is not self._line:
            return
        self._line = None
        if self.ended or self._house.over:
            return
        count(self._house.tally.closes, str(code))
        if code in FINAL_CLOSES:
            self._give_up(f"close {code}")
            return
        self._house.tally.reconnects += 1
        self._away_since_ms = time.time() * 1000
        self._attempt = 0
        if not self._dialling:
            self._again()

    def on_message(self, line: Line, opcode: int, payload: bytes, size: int, now_ms: float) -> None:
        """Take a message in. Raises: ValueError."""
        room = self.room
        known = room.known.get(payload) or room.learn(opcode, payload, size, now_ms)
        if known.kind == Kind.PERSONAL:
            self._on_personal(line, known.said, now_ms)
            return
        tally = self._house.tally
        tally.messages += 1
        tally.bytes += size
        delay_ms = now_ms - known.said.timestamp
        tally.delivery.add(delay_ms)
        reach = known.reach
        if self._resumed_ms > reach.first_ms or now_ms > reach.first_ms + 5000.0:
            reach.late += 1
            tally.late += 1
        else:
            reach.count += 1
            reach.last_ms = now_ms
        if known.kind == Kind.VOICE:
            tally.voices += 1
            if known.since_spoken_ms >= 0:
                tally.voice_lag.add(delay_ms + known.since_spoken_ms)
            self._on_voice(line, known.number)
        elif known.final:
            self._on_text(line, known)

    def _on_voice(self, line: Line, number: int) -> None:
        if number <= line.last:
            self._house.tally.duplicates += 1
            return
        line.last = number
        if number == self.last + 1:
            self.last = number
            return
        if number <= self.last:
            if self._missing and number in self._missing:
                self._missing.discard(number)
            else:
                self._house.tally.overlaps += 1
            return
        self._miss(number)
        self.last = number

    def _miss(self, number: int) -> None:
        """Those between the last and `number` have not come yet."""
        if number - self.last > GAP_AT_MOST:
            self._forgotten += number - self.last - 1
            return
        if self._missing is None:
            self._missing = set()
        self._missing.update(range(self.last + 1, number))

    def _on_text(self, line: Line, known: Known) -> None:
        segment = known.number
        there = self._texts >> segment & 1
        self._texts |= 1 << segment
        tally = self._house.tally
        if segment <= line.top:
            if there:
                tally.duplicates += not known.reach.revision > self._final_revision(segment)
            else:
                tally.disordered += 1
            return
        line.top = segment
        if there:
            tally.overlaps += 1

    def _final_revision(self, segment: int) -> int:
        """The revision of the first final text of a segment; a correction has a higher one."""
        return self.room.final_revisions.get(segment, 0)

    def _on_personal(self, line: Line, said: Heard, now_ms: float) -> None:
        match said.type:
            case "sessionJoined":
                self._on_joined(line, said, now_ms)
            case "connectionRefreshComplete":
                self._house.tally.back.add(now_ms - self._away_since_ms)
                self._resumed_ms = now_ms
                self._seat(line, said)
            case "connectionRefreshRequired":
                if line is self._line and not self._dialling and not self.ended:
                    self._house.tally.moves += 1
                    self._away_since_ms = now_ms
                    self._attempt = 0
                    self._again()
            case "sessionEnded":
                self.ended = True
            case "error":
                self._on_error(line, said.code)

    def _on_joined(self, line: Line, said: Heard, now_ms: float) -> None:
        if not self.joined:
            self.joined = True
            self._house.tally.join.add(now_ms - self._due_ms)
            self.last = said.last_sequence_number
            highest = self.room.finals.bit_length() - 1
            self._first = max(0, highest + 2) if self._house.talking else 0
        else:
            self._house.tally.rejoins += 1
            if said.last_sequence_number > self.last:
                self._miss(said.last_sequence_number + 1)
                self.last = said.last_sequence_number
        line.last = said.last_sequence_number
        self._resumed_ms = now_ms
        self._seat(line, said)

    def _seat(self, line: Line, said: Heard) -> None:
        before, self._line = self._line, line
        self._next = None
        self._dialling = False
        self._attempt = 0
        self._token = said.resume_token
        line.asked = False
        if before is not None:
            before.leave()

    def _on_error(self, line: Line, code: str) -> None:
        if line is not self._next:
            count(self._house.tally.errors, code)
            return
        line.asked = False
        if code in TRY_AGAIN:
            count(self._house.tally.refused, code)
            self._next = None
            line.leave()
            self._again()
        elif code in {"SESSION_ENDED", "SESSION_NOT_FOUND"} or not self._token:
            self._next = None
            line.leave()
            self._give_up(code)
        else:
            count(self._house.tally.refused, code)
            self._token = ""
            self.on_open(line)

    def _give_up(self, why: str) -> None:
        self.gone = True
        self._dialling = False
        count(self._house.tally.errors, why)
        if self._line is not None:
            self._line.leave()

    def _dial(self) -> None:
        if self.ended or self.gone or self._house.over:
            self._dialling = False
            return
        self._dialling = True
        self._next = None
        self._house.dial(self)

    def _again(self) -> None:
        """Try once more, after a wait with full jitter (see babelcast/client/backoff.py)."""
        if self.ended or self.gone or self._house.over:
            self._dialling = False
            return
        if time.time() * 1000 - self._away_since_ms > AT_MOST_AWAY_S * 1000:
            self._give_up("too long away")
            return
        self._dialling = True
        self._next = None
        ceiling_s = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** min(self._attempt, 10))
        self._attempt += 1
        self._house.later(random.uniform(0, ceiling_s), self._dial)
