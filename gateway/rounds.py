"""One round of writing: what goes to which seats, encoded once a kind of listener, in one write each."""

import asyncio
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from babelcast.event.v1.event_pb2 import Broadcast
from babelcast.protocol import client_messages as ask
from babelcast.protocol import codec
from babelcast.protocol.server_messages import ServerMessage
from gateway import messages
from gateway.outlet import Outlet, Parcel, Piece, binary_frame, text_frame

# Between turns of the loop, so that a large audience does not hold up the speakers: a millisecond.
WRITES_PER_TURN = 100
TOGETHER_BYTES = 32_768
"""Broadcasts go out together up to here: what a socket does not take is not to be dropped any more."""


@dataclass(slots=True, eq=False)
class Seat:
    """One listener and how it wants to be served."""

    outlet: Outlet
    audio: ask.AudioChoice = "pcm"
    delivery: ask.DeliveryChoice = "json"
    captions: ask.CaptionChoice = "partial"
    late: bool = False
    """Whether it is shown what was said before anybody listened in its language."""
    playing: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """Outlets that get the same frames, and one of their seats for all."""

    seat: Seat
    outlets: list[Outlet]


def in_rows(seats: Iterable[Seat]) -> list[Row]:
    """Seats by what they want; what they want afterwards changes nothing here."""
    rows: dict[tuple[str, str, str, bool, bool], Row] = {}
    for seat in seats:
        wish = (seat.audio, seat.delivery, seat.captions, seat.playing, seat.late)
        row = rows.get(wish)
        if row is None:
            row = rows[wish] = Row(dataclasses.replace(seat), [])
        row.outlets.append(seat.outlet)
    return list(rows.values())


@dataclass(slots=True)
class Encodings:
    """One broadcast's frames, each made when the first seat needs it."""

    broadcast: Broadcast
    now_ms: int
    _pieces: dict[tuple[str, str], Piece] = field(default_factory=dict)

    @property
    def wanted(self) -> bool:
        """Whether any seat wanted it so far."""
        return bool(self._pieces)

    def piece_for(self, seat: Seat) -> Piece | None:
        """What this seat gets; None when it does not want it."""
        kind = self.broadcast.WhichOneof("payload")
        if kind == "checkpoint":
            return None
        if kind == "audio":
            if seat.audio == "none" or not seat.playing:
                return None
            return self._piece((seat.audio, seat.delivery), self.broadcast.audio.duration_ms / 1000)
        if kind == "spoken_over" and (seat.audio == "none" or not seat.playing):
            return None
        if kind == "caption" and not self.broadcast.caption.is_final and seat.captions == "final":
            return None
        if kind == "caption" and self.broadcast.caption.late and not seat.late:
            return None
        if kind == "transcript" and not self.broadcast.transcript.is_final and seat.captions == "final":
            return None
        return self._piece(("", ""))

    def _piece(self, encoding: tuple[str, str], audio_s: float = 0.0) -> Piece:
        piece = self._pieces.get(encoding)
        if piece is None:
            frame = encode(self.broadcast, *encoding, now_ms=self.now_ms)
            piece = self._pieces[encoding] = Piece(frame, audio_s)
        return piece


def encode(broadcast: Broadcast, audio: str, delivery: str, *, now_ms: int) -> bytes:
    """A broadcast as a whole WebSocket frame."""
    kind = broadcast.WhichOneof("payload")
    message: ServerMessage
    if kind == "audio":
        inline = delivery != "binary"
        message, sound = messages.translated_audio(
            broadcast.language, broadcast.audio, opus=audio == "opus", inline=inline, now_ms=now_ms
        )
        if not inline:
            return binary_frame(codec.pack_binary(codec.encode_server(message), sound))
    elif kind == "caption":
        message = messages.caption(broadcast.language, broadcast.caption, now_ms=now_ms)
    elif kind == "spoken_over":
        message = messages.spoken_over(broadcast.language, broadcast.spoken_over, now_ms=now_ms)
    elif kind == "transcript":
        message = messages.transcript(broadcast.transcript, now_ms=now_ms)
    else:
        message = messages.service_notice(broadcast.language, broadcast.notice, now_ms=now_ms)
    return text_frame(codec.encode_server(message))


@dataclass(slots=True)
class Portion:
    """Outlets of a row that are written to in one turn of the loop."""

    row: Row
    outlets: Sequence[Outlet]
    had: int = 0
    """So many broadcasts of the round were written."""


class Round:
    """Broadcasts on their way to the seats as they were when the first of them came."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.portions = [Portion(row, outlets) for row in rows for outlets in in_portions(row.outlets)]
        self.broadcasts: list[Encodings] = []
        self._size = 0  # bytes of the broadcasts, which is about what is written to a seat
        self._parcels: dict[tuple[int, int], Parcel | None] = {}

    @property
    def has_room(self) -> bool:
        """Whether one more may come along."""
        return self._size < TOGETHER_BYTES

    def add(self, broadcast: Broadcast, *, now_ms: int) -> None:
        """Take one more along."""
        self.broadcasts.append(Encodings(broadcast, now_ms))
        self._size += broadcast.ByteSize()
        self._parcels.clear()

    def write(self, portion: Portion, *, gone: AbstractSet[Outlet]) -> None:
        """Write what a portion has not had, in one piece; to nobody who is `gone`."""
        parcel = self._parcel(portion)
        portion.had = len(self.broadcasts)
        if parcel is None:
            return
        outlets = [outlet for outlet in portion.outlets if outlet not in gone] if gone else portion.outlets
        for outlet in outlets:
            outlet.write_parcel(parcel)

    def _parcel(self, portion: Portion) -> Parcel | None:
        key = (id(portion.row), portion.had)
        if key not in self._parcels:
            made = [encodings.piece_for(portion.row.seat) for encodings in self.broadcasts[portion.had :]]
            pieces = [piece for piece in made if piece is not None]
            self._parcels[key] = Parcel(pieces) if pieces else None
        return self._parcels[key]


async def write_all(outlets: Sequence[Outlet], frame: bytes) -> None:
    """Write a frame to many, in portions, with a turn of the loop between them."""
    for number, portion in enumerate(in_portions(outlets)):
        if number:
            await asyncio.sleep(0)
        for outlet in portion:
            outlet.write(frame)


def in_portions(outlets: Sequence[Outlet]) -> Iterator[Sequence[Outlet]]:
    """As many at a time as are written to in one turn of the loop."""
    for start in range(0, len(outlets), WRITES_PER_TURN):
        yield outlets[start : start + WRITES_PER_TURN]
