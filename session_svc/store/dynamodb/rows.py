"""Rows as DynamoDB keeps them, and back.

Sessions     key sessionId. The session, its counters (`listenerCount`, `languages`) and `speakerPresent`, so
             that one row decides whether a listener may join or a speaker may act. `phase` is "open" until
             the end is carried out, then "ended"; `endedBy` names the operation that did it.
             Or a speaker, under a key that no session has: `sessions` has the codes of all his live sessions,
             and maybe of some that are over. The sessions' rows say which.
Connections  key connectionId. A seat. `targetLanguage` and `shard` stand in listeners' rows only, and
             `gatewayId` in those that are present, so that the indexes hold nobody else; `former...` in those
             that were handed over.
             Or where a seat went that was handed over: `movedTo` alone, which is in no index.
             Or a gateway's lease, under a key that no connection has: `untilAt` is when it runs out, or when
             it lapsed, and `shard` tells which; one that lapsed long ago has neither, and is kept so that it
             stays lapsed.
RateLimits   key rateKey. When the bucket will be full, µs since the epoch.

Times are ms since the Unix epoch, except `ttl`, which DynamoDB wants in s. It deletes rows some time after
that: long after the sweep should have, so that it takes only what was abandoned by everybody.
"""

import zlib
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, TypedDict

import msgspec

from babelcast.errors import InvalidParameter
from session_svc.model import Audience, Broadcast, Former, Role, Seat, Session, Settings, Snapshot

SHARDS: Final = ("0", "1", "2", "3")
"""Parts of the index of seats by time: each takes 1,000 writes a second."""

OPEN: Final = "open"
ENDED: Final = "ended"
HELD: Final = "leases"
LAPSED: Final = "lapsed"
_LEASE: Final = "lease/"
_SPEAKER: Final = "speaker/"
TTL: Final = "ttl"
ABANDONED_AFTER_S: Final = 86_400
_MS_PER_S = 1000
_US_PER_S = 1_000_000
_MAX_DIGITS = 16
# DynamoDB takes rows up to 400 KiB; the rest of the row is far below the difference.
_MAX_SETTINGS_BYTES = 380 * 1024


class Value(TypedDict, total=False):
    """An attribute's value on the wire: one of these."""

    S: str
    N: str
    B: bytes
    BOOL: bool
    SS: list[str]
    M: dict[str, "Value"]


Item: TypeAlias = dict[str, Value]


def text(value: str) -> Value:
    """A string."""
    return {"S": value}


def number(value: float) -> Value:
    """A number."""
    return {"N": repr(value)}


def flag(value: bool) -> Value:
    """A truth value."""
    return {"BOOL": value}


def session_item(session: Session) -> Item:
    """The row of a session without listeners whose speaker is there.

    Raises: InvalidParameter when the glossary is too large for a row.
    """
    packed = zlib.compress(msgspec.json.encode(session.settings))
    if len(packed) > _MAX_SETTINGS_BYTES:
        raise InvalidParameter("glossary", "it is too long.")
    return {
        "sessionId": text(session.session_id),
        "speakerId": text(session.speaker_id),
        "speakerConnectionId": text(session.speaker_connection_id),
        "speakerPresent": flag(True),
        "settings": {"B": packed},
        "isPaused": flag(session.broadcast.is_paused),
        "isMuted": flag(session.broadcast.is_muted),
        "volume": number(session.broadcast.volume),
        "lastChangeAt": number(session.broadcast.last_change_ms),
        "createdAt": number(session.created_at_ms),
        "expiresAt": number(session.expires_at_ms),
        "endsAt": number(session.ends_at_ms),
        "endReason": text(session.end_reason),
        "phase": text(ENDED if session.ended else OPEN),
        "ownerEpoch": number(session.owner_epoch),
        "revision": number(session.created_at_ms),  # above those of an older session with this code
        "listenerCount": number(0),
        "languages": {"M": {}},
        TTL: ttl(session.ends_at_ms),
    }


def snapshot_of(item: Item) -> Snapshot:
    """A session and its audience, both of one row and so of one moment."""
    session = Session(
        session_id=item["sessionId"]["S"],
        speaker_id=item["speakerId"]["S"],
        speaker_connection_id=item["speakerConnectionId"]["S"],
        settings=msgspec.json.decode(zlib.decompress(item["settings"]["B"]), type=Settings),
        broadcast=Broadcast(
            is_paused=item["isPaused"]["BOOL"],
            is_muted=item["isMuted"]["BOOL"],
            volume=float(item["volume"]["N"]),
            last_change_ms=int(item["lastChangeAt"]["N"]),
        ),
        created_at_ms=int(item["createdAt"]["N"]),
        expires_at_ms=int(item["expiresAt"]["N"]),
        ends_at_ms=int(item["endsAt"]["N"]),
        end_reason=item["endReason"]["S"],
        ended=item["phase"]["S"] == ENDED,
        owner_epoch=int(item["ownerEpoch"]["N"]) if "ownerEpoch" in item else 1,  # older rows lack it
        revision=int(item["revision" if "revision" in item else "createdAt"]["N"]),
    )
    counts = {language: int(count["N"]) for language, count in item["languages"]["M"].items()}
    return Snapshot(session, Audience({language: count for language, count in counts.items() if count}))


def seat_item(seat: Seat) -> Item:
    """The row of a seat."""
    item: Item = {
        "connectionId": text(seat.connection_id),
        "sessionId": text(seat.session_id),
        "role": text(seat.role),
        "tokenHash": {"B": seat.token_hash},
        "untilAt": number(seat.until_ms),
        "requestId": text(seat.request_id),
        "present": flag(seat.present),
        TTL: ttl(seat.until_ms),
    }
    if seat.role is Role.LISTENER:
        item["targetLanguage"] = text(seat.target_language)
        item["shard"] = text(SHARDS[zlib.crc32(seat.connection_id.encode()) % len(SHARDS)])
    if seat.present and seat.gateway_id:
        item["gatewayId"] = text(seat.gateway_id)
    if seat.former is not None:
        item["formerConnectionId"] = text(seat.former.connection_id)
        item["formerHash"] = {"B": seat.former.token_hash}
        item["formerUntil"] = number(seat.former.until_ms)
    return item


def moved_item(former: Former, connection_id: str) -> Item:
    """The row that says which connection has the seat of a former one."""
    return {
        "connectionId": text(former.connection_id),
        "movedTo": text(connection_id),
        TTL: ttl(former.until_ms),
    }


def moved_to(item: Item) -> str | None:
    """The connection in such a row; None in a seat's."""
    return item["movedTo"]["S"] if "movedTo" in item else None


def seat_of(item: Item) -> Seat:
    """The seat in a row."""
    former = None
    if "formerConnectionId" in item:
        former = Former(
            item["formerConnectionId"]["S"], item["formerHash"]["B"], int(item["formerUntil"]["N"])
        )
    return Seat(
        connection_id=item["connectionId"]["S"],
        session_id=item["sessionId"]["S"],
        role=Role(item["role"]["S"]),
        token_hash=item["tokenHash"]["B"],
        until_ms=int(item["untilAt"]["N"]),
        target_language=item["targetLanguage"]["S"] if "targetLanguage" in item else "",
        request_id=item["requestId"]["S"],
        present=item["present"]["BOOL"],
        gateway_id=item["gatewayId"]["S"] if "gatewayId" in item else "",
        former=former,
    )


def speaker_key(speaker_id: str) -> Item:
    """The key of a speaker's row."""
    return {"sessionId": text(f"{_SPEAKER}{speaker_id}")}


def sessions_of(item: Item | None) -> frozenset[str]:
    """The sessions in a speaker's row."""
    return frozenset() if item is None else frozenset(item["sessions"]["SS"])


def codes(values: Iterable[str]) -> Value:
    """A set of session codes; not empty."""
    return {"SS": sorted(values)}


def lease_key(gateway_id: str) -> Item:
    """The key of a lease's row."""
    return {"connectionId": text(f"{_LEASE}{gateway_id}")}


def gateway_of(item: Item) -> str:
    """The gateway of a lease's row."""
    return item["connectionId"]["S"].removeprefix(_LEASE)


def is_lease(connection_id: str) -> bool:
    """Whether a key is a lease's, and so no connection's."""
    return connection_id.startswith(_LEASE)


def open_session_cursor(key: Item) -> str:
    """A key of the index of open sessions, as a cursor."""
    return f"{key['endsAt']['N']}/{key['sessionId']['S']}"


def open_session_key(cursor: str) -> Item:
    """The key in a cursor.

    Raises: InvalidParameter when there is none.
    """
    ends_at, _, session_id = cursor.partition("/")
    if not (ends_at.isascii() and ends_at.isdecimal() and session_id and len(ends_at) <= _MAX_DIGITS):
        raise InvalidParameter("pageToken", "it is none.")
    return {"phase": text(OPEN), "endsAt": {"N": ends_at}, "sessionId": text(session_id)}


def ttl(until_ms: int) -> Value:
    """When a row that served until then may vanish by itself, in s."""
    return number(-(-until_ms // _MS_PER_S) + ABANDONED_AFTER_S)


def rate_ttl(full_at_us: int) -> Value:
    """When a bucket's row may vanish: it says nothing any more once the bucket is full."""
    return number(-(-full_at_us // _US_PER_S) + 1)


def expired(item: Mapping[str, Value], now_ms: int) -> bool:
    """Whether DynamoDB might have deleted the row already; readers treat it so."""
    return int(item[TTL]["N"]) * _MS_PER_S <= now_ms
