"""How broadcasts stand in the stream: subjects, headers, and what they say. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from babelcast.bus.base import Topic
from babelcast.event.v1.event_pb2 import Broadcast

STREAM: Final = "BABELCAST"
PREFIX: Final = "babelcast"

KIND: Final = "Babelcast-Kind"
SEQUENCE: Final = "Babelcast-Sequence"
EPOCH: Final = "Babelcast-Epoch"
OWNER: Final = "Babelcast-Owner"
TRACEPARENT: Final = "traceparent"
MESSAGE_ID: Final = "Nats-Msg-Id"
EXPECTED_LAST: Final = "Nats-Expected-Last-Subject-Sequence"

Kind: TypeAlias = Literal["broadcast", "claim", "keep", "end"]
"""A broadcast; an owner that takes over; an owner with nothing to say; the end of the session.

All but the first are empty and seen by nobody above the bus.
"""


_KINDS: Final[Mapping[str, Kind]] = {"claim": "claim", "keep": "keep", "end": "end"}


@dataclass(frozen=True, slots=True)
class Mark:
    """What the headers of a message say: `sequence` is the number of the last voice up to here."""

    kind: Kind
    sequence: int
    epoch: int
    owner: str
    message_id: str = ""

    def headers(self, *, expected_last: int, traceparent: str = "") -> dict[str, str]:
        """For a message that may only follow the one at `expected_last` of the stream; 0 for none."""
        headers = {
            MESSAGE_ID: self.message_id,
            EXPECTED_LAST: str(expected_last),
            SEQUENCE: str(self.sequence),
            EPOCH: str(self.epoch),
            OWNER: self.owner,
        }
        if self.kind != "broadcast":
            headers[KIND] = self.kind
        if traceparent:
            headers[TRACEPARENT] = traceparent
        return headers

    @classmethod
    def read(cls, headers: Mapping[str, str] | None) -> "Mark":
        """The mark of a message; one that we did not write counts as a broadcast without number."""
        found = headers or {}
        return cls(
            kind=_KINDS.get(found.get(KIND, ""), "broadcast"),
            sequence=int(found.get(SEQUENCE, "0")),
            epoch=int(found.get(EPOCH, "0")),
            owner=found.get(OWNER, ""),
            message_id=found.get(MESSAGE_ID, ""),
        )


NOTHING: Final = Mark(kind="end", sequence=0, epoch=0, owner="")
"""As good as a topic that nobody has published on."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last message of a topic: its place in the stream, 0 when there is none, and its mark."""

    place: int = 0
    mark: Mark = NOTHING


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the reply subject of a message from a consumer says: places in the stream and in the delivery,
    seconds since the Unix epoch, and how many are to come.
    """

    place: int
    count: int
    stored_s: float
    pending: int

    @classmethod
    def read(cls, reply: str) -> "Delivery":
        """Of $JS.ACK.[domain.account.]stream.consumer.delivered.place.count.ns.pending[.token]."""
        fields = reply.split(".")
        at = 5 if len(fields) <= 9 else 7  # noqa: PLR2004 - with a domain there are two more, and a token
        place, count, stored_ns, pending = (int(field) for field in fields[at : at + 4])
        return cls(place, count, stored_ns / 1e9, pending)


def subject(topic: Topic) -> str:
    """The subject of a topic."""
    return f"{PREFIX}.{topic.session_id}.{topic.language}"


def topic_of(subject_: str) -> Topic:
    """The topic of a subject."""
    _, session_id, language = subject_.split(".")
    return Topic(session_id, language)


def is_passing(broadcast: Broadcast) -> bool:
    """Whether a newer one makes it worthless: text of a segment that is still open."""
    kind = broadcast.WhichOneof("payload")
    return (kind == "caption" and not broadcast.caption.is_final) or (
        kind == "transcript" and not broadcast.transcript.is_final
    )
