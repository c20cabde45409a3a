"""The tables of metrics: what there is, and where to find what the operators' checklist asks for."""

import ast
import inspect
import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from babelcast.telemetry import instruments as on
from babelcast.telemetry.catalogue import CATALOGUE, Described, Kind

CHECKLIST: Final[Sequence[tuple[str, str, Sequence[str], str]]] = (
    ("latency", "AudioProcessingLatency", ("babelcast.gateway.audio_processing",), ""),
    ("latency", "TranscriptionForwardingLatency", ("babelcast.gateway.transcript_forwarding",), ""),
    (
        "latency",
        "EndToEndLatency",
        ("babelcast.gateway.end_to_end", "babelcast.gateway.voice_lag"),
        "The second adds what of earlier voices is still to be heard.",
    ),
    (
        "latency",
        "ControlMessageLatency",
        ("babelcast.gateway.control",),
        "By `action`; leave `endSession` out.",
    ),
    (
        "errors",
        "LambdaErrors",
        ("babelcast.rpc.server.duration", "babelcast.gateway.errors"),
        "The count of calls whose `code` is not `OK`; and what clients were told.",
    ),
    (
        "errors",
        "TranscribeStreamErrors",
        ("babelcast.gateway.stream_failures",),
        '`station="transcription"`.',
    ),
    (
        "errors",
        "TranslationPipelineErrors",
        ("babelcast.translation.failures", "babelcast.gateway.stream_failures"),
        '`station="translation"` of the second.',
    ),
    ("errors", "EmotionExtractionErrors", ("babelcast.transcription.dynamics_failures",), ""),
    ("errors", "AudioValidationErrors", ("babelcast.gateway.audio_refused",), ""),
    (
        "errors",
        "WebSocketAPIErrors",
        ("babelcast.gateway.http_responses", "babelcast.gateway.connections_closed"),
        '`class="5xx"`; `code="1011"`.',
    ),
    ("errors", "ConnectionTimeouts", ("babelcast.gateway.connection_timeouts",), ""),
    ("errors", "DynamoDBThrottling", ("babelcast.store.throttled", "babelcast.store.failures"), ""),
    ("throughput", "SessionsCreated", ("babelcast.gateway.sessions_created",), ""),
    (
        "throughput",
        "ListenersJoined",
        ("babelcast.gateway.listeners_joined", "babelcast.gateway.joins"),
        "The second counts attempts by their outcome.",
    ),
    ("throughput", "AudioChunksProcessed", ("babelcast.gateway.audio_chunks",), ""),
    ("throughput", "TranscriptsForwarded", ("babelcast.gateway.transcripts_forwarded",), ""),
    ("throughput", "TranslationsGenerated", ("babelcast.translation.generated",), ""),
    (
        "resources",
        "LambdaMemoryUsed",
        ("babelcast.process.memory", "babelcast.process.memory_limit"),
        "The one divided by the other.",
    ),
    ("resources", "LambdaDuration", ("babelcast.rpc.server.duration",), "Of unary methods."),
    (
        "resources",
        "LambdaConcurrentExecutions",
        (
            "babelcast.gateway.connections",
            "babelcast.gateway.sessions",
            "babelcast.transcription.streams_open",
        ),
        "",
    ),
    ("resources", "DynamoDBConsumedCapacity", ("babelcast.store.consumed_capacity",), "By `table`."),
    (
        "resources",
        "CacheHitRate",
        ("babelcast.translation.cache_lookups",),
        "All outcomes but `miss`, divided by all.",
    ),
)
"""Of a checklist for functions and managed services: kind, name there, ours, and what to look at."""

_SERVICES: Final = {
    "gateway": "gateway",
    "archive": "gateway",
    "bus": "gateway, session",
    "session": "session",
    "store": "session",
    "transcription": "transcription",
    "translation": "translation",
    "process": "all",
}
_NAMES: Final = {
    "babelcast.rpc.server.duration": "session, transcription, translation",
    "babelcast.rpc.client.duration": "gateway",
}


def rows() -> Iterator[Sequence[str]]:
    """All instruments."""
    for each in CATALOGUE:
        yield (
            f"`{each.name}`",
            f"`{each.exported}`",
            each.kind.value,
            "" if each.unit == "1" else f"`{each.unit}`",
            ", ".join(f"`{name}`" for name in each.attributes),
            _NAMES.get(each.name) or _SERVICES[each.name.split(".")[1]],
            each.description,
        )


def checklist_rows() -> Iterator[Sequence[str]]:
    """Where to find what the checklist names."""
    known = {each.name: each for each in CATALOGUE}
    for kind, name, ours, note in CHECKLIST:
        yield kind, name, ", ".join(_shown(known[each]) for each in ours), note


def attribute_rows() -> Iterator[Sequence[str]]:
    """What attributes say, by the notes in their module."""
    body = ast.parse(inspect.getsource(on)).body
    for assigned, note in itertools.pairwise(body):
        if (
            isinstance(assigned, ast.AnnAssign)
            and isinstance(assigned.value, ast.Constant)
            and isinstance(assigned.value.value, str)
            and isinstance(note, ast.Expr)
            and isinstance(note.value, ast.Constant)
            and str(note.value.value).startswith("Attribute: ")
        ):
            said = " ".join(str(note.value.value).removeprefix("Attribute: ").split())
            yield f"`{assigned.value.value}`", said[:1].upper() + said[1:]


def _shown(each: Described) -> str:
    of_histogram = "_bucket" if each.kind is Kind.HISTOGRAM else ""
    return f"`{each.exported}{of_histogram}`"
