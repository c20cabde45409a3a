"""Metrics by OpenTelemetry: every instrument in one place.

Instruments are made when this module is imported; they do nothing until a composition root calls
`export.configure`.
No session, connection or address is ever an attribute, so the number of series stays small. The catalogue
knows all attributes, and no others are exported.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation, UpDownCounter, _Gauge

from babelcast.telemetry import process
from babelcast.telemetry.catalogue import BYTES, CATALOGUE, SECONDS, Described, Kind

LIMIT: Final = "limit"
"""Attribute: what was limited, in the words of the refusal."""
CAUSE: Final = "cause"
"""Attribute: why audio was lost: `backlog` (too much waited to be transcribed), `segment` (more unanswered
than is kept) or `engine` (none survives it); why a translation went: `capacity`, `size`, `expired`; or
why a connection was given up: `heartbeat` (no answer to pings), `idle` (nothing said) or `stalled` (nothing
taken)."""
COMPONENT: Final = "component"
"""Attribute: `translation` or `speech`."""
ENGINE: Final = "engine"
"""Attribute: who did it: `whisper-base`, `polly-neural`."""
LANGUAGE: Final = "language"
"""Attribute: the language that came out, one of those that are supported."""
OUTCOME: Final = "outcome"
"""Attribute: what became of a text's voice: `spoken`, `merged` or `skipped`; where a translation was found:
`memory`, `flight` (the same was under way), `table`, or `miss`, when an engine had to do it; or how joining
ended: `ok`, or the error's code."""
CODE: Final = "code"
"""Attribute: a code of the client protocol's errors, the status of a gRPC call by its name, or the code that
a WebSocket was closed with, `other` for one that is not ours."""
KIND: Final = "kind"
"""Attribute: `caption` or `voice`; of transcripts `partial` or `final`."""
ACTION: Final = "action"
"""Attribute: what a client's message asked for."""
METHOD: Final = "method"
"""Attribute: a gRPC method as Service/Method."""
STATION: Final = "station"
"""Attribute: `transcription` or `translation`."""
PHASE: Final = "phase"
"""Attribute: `start` when a stream could not be opened, `running` when it broke."""
CLASS: Final = "class"
"""Attribute: the class of an HTTP status: `2xx`."""
ROLE: Final = "role"
"""Attribute: `speaker`, `listener` or `none`."""
OPERATION: Final = "operation"
"""Attribute: what a store was asked to do."""
TABLE: Final = "table"
"""Attribute: a table by its name in the configuration."""

QUICK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Bounds of buckets for what takes no time when all is well, s."""
WORK: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20)
"""For the work of engines, s."""
LAG: Final = (0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 30, 60)
"""For what a listener waits for, s."""

_meter = metrics.get_meter("babelcast")


def _describe(kind: Kind, name: str, unit: str, description: str, attributes: Sequence[str]) -> None:
    CATALOGUE.append(Described(name, kind, unit, description, attributes))


def _counter(name: str, unit: str, description: str, *attributes: str) -> Counter:
    _describe(Kind.COUNTER, name, unit, description, attributes)
    return _meter.create_counter(name, unit=unit, description=description)


def _gauge(name: str, unit: str, description: str, *attributes: str) -> _Gauge:
    _describe(Kind.GAUGE, name, unit, description, attributes)
    return _meter.create_gauge(name, unit=unit, description=description)


def _level(name: str, unit: str, description: str, *attributes: str) -> UpDownCounter:
    """A gauge that is told of changes."""
    _describe(Kind.GAUGE, name, unit, description, attributes)
    return _meter.create_up_down_counter(name, unit=unit, description=description)


def _histogram(
    name: str, unit: str, description: str, *attributes: str, bounds: Sequence[float]
) -> Histogram:
    _describe(Kind.HISTOGRAM, name, unit, description, attributes)
    return _meter.create_histogram(
        name, unit=unit, description=description, explicit_bucket_boundaries_advisory=[*map(float, bounds)]
    )


def _observed_gauge(name: str, unit: str, description: str, read: Callable[[], float | None]) -> None:
    _describe(Kind.GAUGE, name, unit, description, ())
    _meter.create_observable_gauge(name, [_observing(read)], unit=unit, description=description)


def _observed_counter(name: str, unit: str, description: str, read: Callable[[], float | None]) -> None:
    _describe(Kind.COUNTER, name, unit, description, ())
    _meter.create_observable_counter(name, [_observing(read)], unit=unit, description=description)


def _observing(
    read: Callable[[], float | None],
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        value = read()
        return () if value is None else (Observation(value),)

    return observe


# Gateway: latency

AUDIO_PROCESSING = _histogram(
    "babelcast.gateway.audio_processing",
    SECONDS,
    "From a chunk of audio that is in order at the gateway until the transcription's stream has taken it.",
    bounds=QUICK,
)
TRANSCRIPT_FORWARDING = _histogram(
    "babelcast.gateway.transcript_forwarding",
    SECONDS,
    "From a final transcript's arrival from transcription until the translation's stream has first taken it.",
    bounds=QUICK,
)
END_TO_END = _histogram(
    "babelcast.gateway.end_to_end",
    SECONDS,
    "From the arrival of the end of speech at its gateway until its final text or voice was written to the "
    "listeners of a gateway; once for all of them. By the clocks of both gateways.",
    KIND,
    LANGUAGE,
    bounds=LAG,
)
VOICE_LAG = _histogram(
    "babelcast.gateway.voice_lag",
    SECONDS,
    "From the end of speech to where its voice begins for somebody who hears all of it in turn.",
    LANGUAGE,
    bounds=(0.5, 1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 30),
)
CONTROL = _histogram(
    "babelcast.gateway.control",
    SECONDS,
    "From a client's message at the gateway until its answer is written. endSession waits for the last "
    "sentences.",
    ACTION,
    bounds=QUICK,
)

# Gateway: errors

ERRORS = _counter(
    "babelcast.gateway.errors", "{error}", "Errors that clients were answered with, by their code.", CODE
)
STREAM_FAILURES = _counter(
    "babelcast.gateway.stream_failures",
    "{failure}",
    "Streams to transcription or translation that could not be opened, or broke; planned moves aside.",
    STATION,
    PHASE,
    CODE,
)
AUDIO_REFUSED = _counter(
    "babelcast.gateway.audio_refused", "{chunk}", "Chunks of audio that were not taken, by the error.", CODE
)
HTTP_RESPONSES = _counter(
    "babelcast.gateway.http_responses",
    "{response}",
    "Answers to HTTP requests, the WebSockets' upgrades (1xx) among them; health checks aside, and those "
    "whom a gateway that is about to stop sends elsewhere.",
    CLASS,
)
CONNECTIONS_CLOSED = _counter(
    "babelcast.gateway.connections_closed",
    "{connection}",
    "WebSockets that ended, by the code of whoever closed first; 1006 is one that broke.",
    CODE,
)
CONNECTION_TIMEOUTS = _counter(
    "babelcast.gateway.connection_timeouts",
    "{connection}",
    "WebSockets that were given up because their client did not answer, say or take anything.",
    CAUSE,
)
AUDIO_LOST = _counter(
    "babelcast.gateway.audio_lost", SECONDS, "Speakers' audio that was never transcribed.", CAUSE
)
CHUNKS_MISSING = _counter(
    "babelcast.gateway.audio_chunks_missing",
    "{chunk}",
    "Numbered audio chunks that never came, or came too late.",
)
UTTERANCES_DROPPED = _counter(
    "babelcast.gateway.utterances_dropped",
    "{utterance}",
    "Voice messages that went because their listener did not keep up.",
)
LISTENERS_CUT = _counter(
    "babelcast.gateway.slow_clients_cut",
    "{client}",
    "Clients cut off because they took nothing for long, or far too much waited for them.",
)
ARCHIVE_UNSENT = _counter(
    "babelcast.archive.unsent",
    "{message}",
    "Texts that are in no transcript since the archive could not be reached, or refused them.",
)
BUS_UNSENT = _counter(
    "babelcast.bus.unsent",
    "{message}",
    "Messages that could not be published for longer than they would have been kept.",
)
BUS_REOPENED = _counter(
    "babelcast.bus.reopened", "{consumer}", "Times that a topic was followed anew, after an outage or a gap."
)

# Gateway: throughput and resources

SESSIONS_CREATED = _counter(
    "babelcast.gateway.sessions_created", "{session}", "Sessions that speakers made at this gateway."
)
JOINS = _counter(
    "babelcast.gateway.joins", "{join}", "Attempts of listeners to join, by how they ended.", OUTCOME
)
LISTENERS_JOINED = _counter(
    "babelcast.gateway.listeners_joined",
    "{listener}",
    "Listeners that joined; those who came back to their seat not.",
    LANGUAGE,
)
AUDIO_CHUNKS = _counter(
    "babelcast.gateway.audio_chunks", "{chunk}", "Chunks of audio that were taken from speakers."
)
TRANSCRIPTS_FORWARDED = _counter(
    "babelcast.gateway.transcripts_forwarded",
    "{transcript}",
    "Texts that went to translation; a final one that is sent again counts once.",
    KIND,
)
LISTENED = _counter(
    "babelcast.gateway.listened",
    SECONDS,
    "Time that listeners were in sessions of this gateway, all of them added up.",
)
CONNECTIONS = _gauge(
    "babelcast.gateway.connections", "{connection}", "WebSockets open now, by their role.", ROLE
)
SESSIONS = _gauge(
    "babelcast.gateway.sessions", "{session}", "Sessions whose audio this gateway works on now."
)
LIVE_PLAYERS = _level(
    "babelcast.gateway.live_players", "{player}", "Players that are sent a continuous stream now."
)
LIVE_PLAYERS_CUT = _counter(
    "babelcast.gateway.live_players_cut",
    "{player}",
    "Players cut off because they did not take a continuous stream as fast as it is made.",
)
LIVE_CLIPS_LEFT_OUT = _counter(
    "babelcast.gateway.live_clips_left_out",
    "{utterance}",
    "Voices that are not in a continuous stream: too many waited, or they were not in Opus.",
)

# Calls between services

SERVED = _histogram(
    "babelcast.rpc.server.duration",
    SECONDS,
    "From a gRPC call's arrival until its end, by its status. A stream's is as long as the talk.",
    METHOD,
    CODE,
    bounds=QUICK,
)
CALLED = _histogram(
    "babelcast.rpc.client.duration",
    SECONDS,
    "From the beginning of a gRPC call, repetitions included, until its end is known here. A stream's is as "
    "long as the talk.",
    METHOD,
    CODE,
    bounds=QUICK,
)

# Session service

STORE_DURATION = _histogram(
    "babelcast.store.duration",
    SECONDS,
    "From asking the session store until it has answered, repetitions included, refused or failed.",
    OPERATION,
    bounds=QUICK,
)
STORE_FAILURES = _counter(
    "babelcast.store.failures",
    "{request}",
    "Requests that the session store could not answer.",
    OPERATION,
)
STORE_THROTTLED = _counter(
    "babelcast.store.throttled",
    "{request}",
    "Calls that DynamoDB turned away for their rate, each repetition by itself.",
    OPERATION,
)
CONSUMED_CAPACITY = _counter(
    "babelcast.store.consumed_capacity",
    "{unit}",
    "Capacity units that DynamoDB counted for calls, those of indexes included.",
    TABLE,
)
RATE_LIMITS_SKIPPED = _counter(
    "babelcast.session.rate_limits_skipped",
    "{request}",
    "Requests let in without a rate limit because its table could not be asked.",
    LIMIT,
)

# Transcription

FINAL_DELAY = _histogram(
    "babelcast.transcription.final_delay",
    SECONDS,
    "From reading the last audio of a segment from the stream until its final result is ready to be sent.",
    bounds=LAG,
)
DYNAMICS_FAILURES = _counter(
    "babelcast.transcription.dynamics_failures",
    "{failure}",
    "Final results whose loudness, pace and emotion could not be measured in time; they count as neutral.",
)
CORRECTIONS = _counter(
    "babelcast.transcription.corrections",
    "{segment}",
    "Final texts that changed more than a fifth of the words last shown.",
    ENGINE,
)
SLOWED = _counter(
    "babelcast.transcription.slowed",
    "{decode}",
    "Decodes after which the next partial result comes later than usual for want of time.",
)
STREAMS_OPEN = _gauge("babelcast.transcription.streams_open", "{stream}", "Transcription streams open now.")
STREAMS_LIMIT = _gauge(
    "babelcast.transcription.streams_limit",
    "{stream}",
    "Transcription streams that can be served live at once.",
)
LOAD = _gauge(
    "babelcast.transcription.load",
    "1",
    "Share of what this machine can transcribe live that open streams take.",
)

# Translation

TRANSLATION_DURATION = _histogram(
    "babelcast.translation.duration",
    SECONDS,
    "From asking an engine for a sentence's translation, with the wait for its turn, until it has answered.",
    ENGINE,
    LANGUAGE,
    bounds=WORK,
)
SPEECH_DURATION = _histogram(
    "babelcast.translation.speech_duration",
    SECONDS,
    "From asking for a clip, with the wait for an engine's turn, until its sound is there.",
    ENGINE,
    bounds=WORK,
)
TRANSLATION_FAILURES = _counter(
    "babelcast.translation.failures",
    "{failure}",
    "Segments that a language did not get, by the engine that failed; empty where time ran out first.",
    COMPONENT,
    ENGINE,
    CODE,
)
GENERATED = _counter(
    "babelcast.translation.generated",
    "{segment}",
    "Final segments that were translated or spoken.",
    LANGUAGE,
    KIND,
)
ENGINE_CHARACTERS = _counter(
    "babelcast.translation.characters",
    "{character}",
    "Characters that engines translated or spoke, as they charge for them; caches spare some.",
    COMPONENT,
    ENGINE,
    LANGUAGE,
)
ENGINE_COST = _counter(
    "babelcast.translation.cost",
    "USD",
    "What those characters cost by the table of prices.",
    COMPONENT,
    ENGINE,
    LANGUAGE,
)
VOICE_TEXTS = _counter(
    "babelcast.translation.voice_texts",
    "{segment}",
    "Translated segments by what became of their voice.",
    LANGUAGE,
    OUTCOME,
)
VOICE_PACE = _histogram(
    "babelcast.translation.voice_pace",
    "1",
    "How much quicker than usual clips are spoken to keep up with the speaker.",
    LANGUAGE,
    bounds=(1.0, 1.05, 1.1, 1.15, 1.2, 1.25),
)
CACHE_LOOKUPS = _counter(
    "babelcast.translation.cache_lookups",
    "{lookup}",
    "Sentences looked for in the cache of translations; all but misses are hits.",
    OUTCOME,
)
CACHE_EVICTIONS = _counter(
    "babelcast.translation.cache_evictions",
    "{entry}",
    "Translations that went for want of room or by age; `cause` is capacity, size or expired.",
    CAUSE,
)
CACHE_ENTRIES = _gauge("babelcast.translation.cache_entries", "{entry}", "Translations in memory.")
CACHE_BYTES = _gauge("babelcast.translation.cache_size", BYTES, "Memory that cached translations take.")
CACHE_DROPPED = _counter(
    "babelcast.translation.cache_dropped",
    "{entry}",
    "Translations that were not written to the cache's table.",
)
CACHE_TABLE_FAILURES = _counter(
    "babelcast.translation.cache_table_failures",
    "{call}",
    "Calls to the cache's table that failed or took too long.",
)

# Every process

_family = process.Family()

_observed_gauge(
    "babelcast.process.memory",
    BYTES,
    "Resident memory of this process and those it started, engines among them.",
    _family.memory,
)
_observed_gauge(
    "babelcast.process.memory_limit",
    BYTES,
    "Memory that the container may take, or that the machine has.",
    process.memory_limit,
)
_observed_counter(
    "babelcast.process.cpu",
    SECONDS,
    "CPU time of this process and those it started.",
    _family.cpu_s,
)
LOOP_LAG = _histogram(
    "babelcast.process.loop_lag",
    SECONDS,
    "How much later than asked the event loop woke up, looked at five times a second.",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
