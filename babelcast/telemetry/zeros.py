"""Series that are there before anything happens: a rate without a zero to begin from misses the first event.

Where the labels are known they begin at zero; languages and engines show when they are first used.
"""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Final

from opentelemetry.metrics import Counter

from babelcast.errors import ErrorCode
from babelcast.telemetry import instruments as on

ALL: Final = "babelcast"
"""The process that holds every service."""
FAILING: Final = (
    ErrorCode.INTERNAL_ERROR,
    ErrorCode.INVALID_CONFIGURATION,
    ErrorCode.INVALID_PARAMETER,
    ErrorCode.SERVICE_UNAVAILABLE,
    ErrorCode.UNSUPPORTED_LANGUAGE,
)
"""What streams and engines fail with."""
CLOSED_WITH: Final = ("1000", "1001", "1005", "1006", "1009", "1011", "4408", "4429", "other")

STORE_OPERATIONS: Final = (
    *("create", "find", "seat", "successor", "join", "hand_over", "rotate", "change_language"),
    *("update_broadcast", "end", "leave", "leave_all", "sweep", "live_page"),
    *("renew_lease", "lapse", "connections_of"),
)

_Labels = Mapping[str, str]
_NONE: Final[tuple[_Labels, ...]] = ({},)


def _each(**labels: Iterable[str]) -> list[_Labels]:
    """Every combination."""
    return [dict(zip(labels, values, strict=True)) for values in product(*labels.values())]


_GATEWAY: Final[tuple[tuple[Counter, Iterable[_Labels]], ...]] = (
    (on.ERRORS, _each(code=ErrorCode)),
    (
        on.STREAM_FAILURES,
        _each(station=("transcription", "translation"), phase=("start", "running"), code=FAILING),
    ),
    (
        on.AUDIO_REFUSED,
        _each(
            code=(
                ErrorCode.AUDIO_CHUNK_TOO_LARGE,
                ErrorCode.INVALID_AUDIO_FORMAT,
                ErrorCode.RATE_LIMIT_EXCEEDED,
            )
        ),
    ),
    (on.HTTP_RESPONSES, _each(**{on.CLASS: ("1xx", "2xx", "3xx", "4xx", "5xx")})),
    (on.CONNECTIONS_CLOSED, _each(code=CLOSED_WITH)),
    (on.CONNECTION_TIMEOUTS, _each(cause=("heartbeat", "idle", "stalled"))),
    (on.AUDIO_LOST, _each(cause=("backlog", "segment", "engine"))),
    (on.JOINS, _each(outcome=("ok", *ErrorCode))),
    (on.TRANSCRIPTS_FORWARDED, _each(kind=("partial", "final"))),
    (on.CHUNKS_MISSING, _NONE),
    (on.UTTERANCES_DROPPED, _NONE),
    (on.LISTENERS_CUT, _NONE),
    (on.ARCHIVE_UNSENT, _NONE),
    (on.BUS_UNSENT, _NONE),
    (on.BUS_REOPENED, _NONE),
    (on.SESSIONS_CREATED, _NONE),
    (on.AUDIO_CHUNKS, _NONE),
    (on.LISTENED, _NONE),
    (on.LIVE_PLAYERS_CUT, _NONE),
    (on.LIVE_CLIPS_LEFT_OUT, _NONE),
)
_SESSION: Final[tuple[tuple[Counter, Iterable[_Labels]], ...]] = (
    (on.STORE_FAILURES, _each(operation=STORE_OPERATIONS)),
    (on.STORE_THROTTLED, _each(operation=("GetItem", "Query", "Scan", "TransactWriteItems", "UpdateItem"))),
    (on.RATE_LIMITS_SKIPPED, _each(limit=("new sessions", "joins from this address"))),
)
_TRANSCRIPTION: Final[tuple[tuple[Counter, Iterable[_Labels]], ...]] = (
    (on.DYNAMICS_FAILURES, _NONE),
    (on.SLOWED, _NONE),
)
_TRANSLATION: Final[tuple[tuple[Counter, Iterable[_Labels]], ...]] = (
    (
        on.TRANSLATION_FAILURES,
        _each(component=("translation", "speech"), engine=("",), code=FAILING),
    ),
    (on.CACHE_LOOKUPS, _each(outcome=("memory", "flight", "table", "miss"))),
    (on.CACHE_EVICTIONS, _each(cause=("capacity", "size", "expired"))),
    (on.CACHE_DROPPED, _NONE),
    (on.CACHE_TABLE_FAILURES, _NONE),
)
_OF: Final = {
    "gateway": _GATEWAY,
    "session_svc": _SESSION,
    "transcription_svc": _TRANSCRIPTION,
    "translation_svc": _TRANSLATION,
    ALL: (*_GATEWAY, *_SESSION, *_TRANSCRIPTION, *_TRANSLATION),
}


def begin(service: str) -> None:
    """Let the counters of a service's process begin at zero; of one that is not known nothing begins."""
    for counter, labels in _OF.get(service, ()):
        for each in labels:
            counter.add(0, {name: str(value) for name, value in each.items()})
    if service in {"gateway", ALL}:
        for role in ("speaker", "listener", "none"):
            on.CONNECTIONS.set(0, {on.ROLE: role})
        on.SESSIONS.set(0)
        on.LIVE_PLAYERS.add(0)
