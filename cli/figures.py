"""What is asked of Prometheus in the first 24 hours after a deployment: the checklist's figures with their
targets, and what a rollback is called for by.

In expressions `$over` is the span that is looked at, and `$ago` how long ago it ended: nothing, or PromQL's
`offset` for the same span before the deployment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Unit(StrEnum):
    """What a figure counts."""

    SECONDS = "s"
    SHARE = "share"
    PER_HOUR = "per hour"
    NUMBER = "number"


class Kind(StrEnum):
    """The checklist's sections."""

    LATENCY = "latency"
    ERRORS = "errors"
    THROUGHPUT = "throughput"
    RESOURCES = "resources"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line; without a target only told. Where `happens` is not above zero, nothing must be there."""

    kind: Kind
    name: str
    expr: str
    unit: Unit
    at_most: float | None = None
    at_least: float | None = None
    least_of_before: float | None = None
    """At least this share of what it was before."""
    happens: str = ""
    optional: bool = False
    """Whether it may be that nobody exports it, as of a store that is not used."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Calls for a rollback when its answer is above `limit`, for any of its series."""

    name: str
    expr: str
    unit: Unit
    limit: float
    about: str
    may_be_absent: bool = True
    """Whether no answer means that there is nothing to complain about."""


LAG_TARGET_S: Final = 5.0
QUICK_TARGET_S: Final = 0.1
CONTROL_TARGET_S: Final = 0.5
CALL_TARGET_S: Final = 0.25
ERRORS_TARGET: Final = 0.01
ROLLBACK_ERRORS: Final = 0.05
ROLLBACK_LATENCY: Final = 2.0
LOST_S: Final = 10.0
LOAD_SHARE: Final = 0.5
"""Of the load of the day before; less is worth a look."""
ENOUGH: Final = 20
"""Sentences, below which a p95 says nothing."""

_FAULTS: Final = 'code=~"INTERNAL|UNKNOWN|DATA_LOSS"'
_UNARY: Final = 'method!~".*/(StreamingTranscribe|StreamingTranslate|WatchSessions)"'
_HTTP, _CLOSED = "babelcast_gateway_http_responses_total", "babelcast_gateway_connections_closed_total"


def _grown(series: str, where: str = "", *, by: str = "") -> str:
    """How much counters grew, altogether 0 where there are none."""
    some = f"{series}{{{where}}}" if where else series
    if by:
        return f"(sum by ({by}) (increase({some}[$over]$ago)))"
    return f"(sum (increase({some}[$over]$ago)) or vector(0))"


def _per_hour(series: str) -> str:
    return f"3600 * sum(rate({series}[$over]$ago))"


def _percentile(quantile: float, metric: str, *, by: str = "", where: str = "") -> str:
    groups = f"{by}, le" if by else "le"
    some = f"{metric}_bucket{{{where}}}" if where else f"{metric}_bucket"
    return f"histogram_quantile({quantile}, sum by ({groups}) (rate({some}[$over]$ago)))"


def _latency(
    name: str, metric: str, target_s: float, *, happens: str, by: str = "", where: str = ""
) -> list[Figure]:
    """Its p50, p95 and p99, of which the second has the target."""
    return [
        Figure(
            Kind.LATENCY,
            f"{name} p{round(100 * quantile)}",
            _percentile(quantile, metric, by=by, where=where),
            Unit.SECONDS,
            at_most=target_s if quantile == 0.95 else None,  # noqa: PLR2004 - the p95
            happens=happens,
        )
        for quantile in (0.5, 0.95, 0.99)
    ]


def _errors(name: str, bad: str, whole: str) -> Figure:
    return Figure(
        Kind.ERRORS, name, f"{bad} / ({whole} > 0)", Unit.SHARE, at_most=ERRORS_TARGET, happens=whole
    )


def _load(name: str, series: str) -> Figure:
    return Figure(
        Kind.THROUGHPUT, name, _per_hour(series), Unit.PER_HOUR, least_of_before=LOAD_SHARE, happens=_TALK
    )


_RPC: Final = "babelcast_rpc_server_duration_seconds"
_STREAM_FAILURES: Final = "babelcast_gateway_stream_failures_total"
_ENOUGH_LOOKUPS: Final = 200
_LOOKUPS: Final = "babelcast_translation_cache_lookups_total"
_TALK: Final = _grown("babelcast_gateway_audio_chunks_total")
_SENTENCES: Final = _grown("babelcast_gateway_transcripts_forwarded_total", 'kind="final"')
_TRANSLATED: Final = _grown("babelcast_translation_generated_total")
# Not babelcast_gateway_listeners_joined_total, whose languages show when first used, which `rate` misses.
_JOINED: Final = 'babelcast_gateway_joins_total{outcome="ok"}'
_HEARD: Final = f"({_TRANSLATED} > 0) * {_grown(_JOINED)}"
_ENDED_STREAMS: Final = _grown(
    "babelcast_rpc_client_duration_seconds_count", 'method=~".*/StreamingTranscribe"'
)
_TRANSCRIBING: Final = f"({_ENDED_STREAMS} + (sum(babelcast_transcription_streams_open$ago) or vector(0)))"
_UNSENT_TO_TRANSLATION: Final = _grown(_STREAM_FAILURES, 'station="translation"')
_UNTRANSLATED: Final = f"({_grown('babelcast_translation_failures_total')} + {_UNSENT_TO_TRANSLATION})"
_REFUSED: Final = _grown("babelcast_gateway_audio_refused_total")
_OUR_ANSWERS, _OUR_CLOSINGS = _grown(_HTTP, 'class="5xx"'), _grown(_CLOSED, 'code="1011"')
_EDGE_FAULTS: Final = f"({_OUR_ANSWERS} + {_OUR_CLOSINGS})"
_EDGE: Final = f"({_grown(_HTTP)} + {_grown(_CLOSED)})"
_CALLS: Final = _grown(f"{_RPC}_count", by="job")
_FAILED_CALLS: Final = f"({_grown(f'{_RPC}_count', _FAULTS, by='job')} or 0 * {_CALLS})"
_HITS: Final = _grown(_LOOKUPS, 'outcome!="miss"')

FIGURES: Final[Sequence[Figure]] = (
    *_latency(
        "AudioProcessingLatency",
        "babelcast_gateway_audio_processing_seconds",
        QUICK_TARGET_S,
        happens=_TALK,
    ),
    *_latency(
        "TranscriptionForwardingLatency",
        "babelcast_gateway_transcript_forwarding_seconds",
        QUICK_TARGET_S,
        happens=_TRANSLATED,
    ),
    *_latency(
        "EndToEndLatency",
        "babelcast_gateway_end_to_end_seconds",
        LAG_TARGET_S,
        happens=_HEARD,
        by="kind",
    ),
    *_latency(
        "ControlMessageLatency",
        "babelcast_gateway_control_seconds",
        CONTROL_TARGET_S,
        happens=_grown("babelcast_gateway_sessions_created_total"),
        where='action!="endSession"',
    ),
    _errors("LambdaErrors", _FAILED_CALLS, _CALLS),
    _errors(
        "TranscribeStreamErrors",
        _grown(_STREAM_FAILURES, 'station="transcription"'),
        _TRANSCRIBING,
    ),
    _errors("TranslationPipelineErrors", _UNTRANSLATED, f"({_TRANSLATED} + {_UNTRANSLATED})"),
    _errors("EmotionExtractionErrors", _grown("babelcast_transcription_dynamics_failures_total"), _SENTENCES),
    _errors("AudioValidationErrors", _REFUSED, f"({_TALK} + {_REFUSED})"),
    _errors("WebSocketAPIErrors", _EDGE_FAULTS, _EDGE),
    _errors("ConnectionTimeouts", _grown("babelcast_gateway_connection_timeouts_total"), _grown(_CLOSED)),
    _errors(
        "DynamoDBThrottling",
        _grown("babelcast_store_throttled_total"),
        _grown("babelcast_store_duration_seconds_count"),
    ),
    _load("SessionsCreated", "babelcast_gateway_sessions_created_total"),
    _load("ListenersJoined", _JOINED),
    _load("AudioChunksProcessed", "babelcast_gateway_audio_chunks_total"),
    _load("TranscriptsForwarded", "babelcast_gateway_transcripts_forwarded_total"),
    _load("TranslationsGenerated", "babelcast_translation_generated_total"),
    Figure(
        Kind.RESOURCES,
        "Processes",
        'sum by (job) (up{job=~"babelcast.*"}$ago)',
        Unit.NUMBER,
        at_least=1,
    ),
    Figure(
        Kind.RESOURCES,
        "LambdaMemoryUsed",
        "max by (job) (max_over_time(babelcast_process_memory_bytes[$over]$ago)"
        " / on (job, instance) babelcast_process_memory_limit_bytes$ago)",
        Unit.SHARE,
        at_most=0.9,
    ),
    Figure(
        Kind.RESOURCES,
        "LambdaDuration p95",
        _percentile(0.95, _RPC, by="job", where=_UNARY),
        Unit.SECONDS,
        at_most=CALL_TARGET_S,
        happens=_grown(f"{_RPC}_count", _UNARY),
    ),
    Figure(
        Kind.RESOURCES,
        "LambdaConcurrentExecutions",
        "max_over_time(sum(babelcast_transcription_streams_open)[$over:15s]$ago)"
        " / max_over_time(sum(babelcast_transcription_streams_limit)[$over:15s]$ago)",
        Unit.SHARE,
        at_most=0.9,
        happens=_TALK,
    ),
    Figure(
        Kind.RESOURCES,
        "Connections",
        "max_over_time(sum(babelcast_gateway_connections)[$over:15s]$ago)",
        Unit.NUMBER,
    ),
    Figure(
        Kind.RESOURCES,
        "CPU cores",
        "sum by (job) (rate(babelcast_process_cpu_seconds_total[$over]$ago))",
        Unit.NUMBER,
    ),
    Figure(
        Kind.RESOURCES,
        "Event loops p99",
        _percentile(0.99, "babelcast_process_loop_lag_seconds", by="job"),
        Unit.SECONDS,
        at_most=0.25,
    ),
    Figure(
        Kind.RESOURCES,
        "DynamoDBConsumedCapacity",
        "sum by (table) (rate(babelcast_store_consumed_capacity_total[$over]$ago))",
        Unit.NUMBER,
        optional=True,
    ),
    Figure(
        Kind.RESOURCES,
        "CacheHitRate",
        f"{_HITS} / ({_grown(_LOOKUPS)} > {_ENOUGH_LOOKUPS})",
        Unit.SHARE,
        at_least=0.3,
        happens=f"{_grown(_LOOKUPS)} > {_ENOUGH_LOOKUPS}",
    ),
)

_P95: Final = _percentile(0.95, "babelcast_gateway_end_to_end_seconds", by="kind")
_ENOUGH: Final = f"and on () sum(increase(babelcast_gateway_end_to_end_seconds_count[$over])) > {ENOUGH}"

TRIGGERS: Final[Sequence[Trigger]] = (
    Trigger(
        "error rate at the edge",
        f"{_EDGE_FAULTS} / ({_EDGE} > 0) and {_EDGE_FAULTS} > 5",
        Unit.SHARE,
        ROLLBACK_ERRORS,
        "of answers and connections are faults of ours",
    ),
    Trigger(
        "error rate of a service",
        f"{_FAILED_CALLS} / ({_CALLS} > 0) and on (job) {_FAILED_CALLS} > 5",
        Unit.SHARE,
        ROLLBACK_ERRORS,
        "of the calls end by a fault of the called one",
    ),
    Trigger(
        "latency",
        f"{_P95} / ({_P95.replace('$ago', ' offset $before')} > 0) {_ENOUGH}",
        Unit.NUMBER,
        ROLLBACK_LATENCY,
        "times the p95 from end to end that it was before",
    ),
    Trigger(
        "outage",
        'sum by (job) (up{job=~"babelcast.*"}) == bool 0 or '
        'count by (job) (last_over_time(up{job=~"babelcast.*"}[1h])) '
        'unless count by (job) (up{job=~"babelcast.*"})',
        Unit.NUMBER,
        0,
        "no process answers",
        may_be_absent=False,
    ),
    Trigger(
        "audio lost",
        "sum by (cause) (increase(babelcast_gateway_audio_lost_seconds_total[$over]))",
        Unit.SECONDS,
        LOST_S,
        "of speech will never be transcribed",
        may_be_absent=False,
    ),
    Trigger(
        "messages lost",
        "sum(increase(babelcast_bus_unsent_total[$over]))",
        Unit.NUMBER,
        0,
        "messages could not be published",
        may_be_absent=False,
    ),
    Trigger(
        "texts lost",
        "sum(increase(babelcast_archive_unsent_total[$over]))",
        Unit.NUMBER,
        0,
        "texts are in no transcript",
        may_be_absent=False,
    ),
    Trigger(
        "critical alarm",
        'count by (alertname) (ALERTS{alertstate="firing", severity="page"})',
        Unit.NUMBER,
        0,
        "is firing",
    ),
)

ALARMS: Final = (
    *("AudioProcessorErrors", "TranscribeStreamFailures", "TranslationPipelineFailures"),
    *("WebSocketAPIErrors", "DynamoDBThrottling"),
    *("HighLatency", "LowCacheHitRate", "HighMemoryUsage", "ConnectionTimeouts"),
)
"""The checklist's; a Prometheus that does not have them watches nothing."""
FIRED: Final = (
    'count by (alertname) (max_over_time(ALERTS{alertstate="firing", severity=~"page|email"}[$over]))'
)


def at(expression: str, *, over_s: int, before_s: int, ago: bool = False) -> str:
    """An expression for a span of `over_s`, now or `before_s` ago, all in seconds."""
    offset = f" offset {before_s}s" if ago else ""
    return (
        expression.replace("$over", f"{over_s}s").replace("$ago", offset).replace("$before", f"{before_s}s")
    )
