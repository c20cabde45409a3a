"""Metrics by OpenTelemetry: every instrument in one place.

Instruments are made when this module is imported; they do nothing until a composition root calls
`export.configure`.
No session, connection or address is ever an attribute, so the number of series stays small.
"""

from opentelemetry import metrics

LIMIT = "limit"
"""Attribute: what was limited, in the words of the refusal."""
CAUSE = "cause"
"""Attribute: why audio was lost: `backlog` (too much waited to be transcribed), `segment` (more unanswered
than is kept) or `engine` (none survives it); or why a translation went: `capacity`, `size`, `expired`."""
COMPONENT, ENGINE, LANGUAGE = "component", "engine", "language"
"""Attributes: `translation` or `speech`, who did it (`whisper-base`, `polly-neural`), and what came out."""
OUTCOME = "outcome"
"""Attribute: what became of a text's voice: `spoken`, `merged` or `skipped`; or where a translation was
found: `memory`, `flight` (the same was under way), `table`, or `miss`, when an engine had to do it."""

_meter = metrics.get_meter("babelcast")

RATE_LIMITS_SKIPPED = _meter.create_counter(
    "babelcast.session.rate_limits_skipped",
    unit="{request}",
    description="Requests let in without a rate limit because its table could not be asked.",
)

AUDIO_LOST = _meter.create_counter(
    "babelcast.gateway.audio_lost",
    unit="s",
    description="Speakers' audio that was never transcribed.",
)
CHUNKS_MISSING = _meter.create_counter(
    "babelcast.gateway.audio_chunks_missing",
    unit="{chunk}",
    description="Numbered audio chunks that never came, or came too late.",
)

UTTERANCES_DROPPED = _meter.create_counter(
    "babelcast.gateway.utterances_dropped",
    unit="{utterance}",
    description="Voice messages that went because their listener did not keep up.",
)
LISTENERS_CUT = _meter.create_counter(
    "babelcast.gateway.slow_clients_cut",
    unit="{client}",
    description="Clients cut off because they took nothing for long, or far too much waited for them.",
)

CORRECTIONS = _meter.create_counter(
    "babelcast.transcription.corrections",
    unit="{segment}",
    description="Final texts that changed more than a fifth of the words last shown.",
)
SLOWED = _meter.create_counter(
    "babelcast.transcription.slowed",
    unit="{decode}",
    description="Decodes after which the next partial result comes later than usual for want of time.",
)
STREAMS_OPEN = _meter.create_gauge(
    "babelcast.transcription.streams_open", unit="{stream}", description="Transcription streams open now."
)
STREAMS_LIMIT = _meter.create_gauge(
    "babelcast.transcription.streams_limit",
    unit="{stream}",
    description="Transcription streams that can be served live at once.",
)
LOAD = _meter.create_gauge(
    "babelcast.transcription.load",
    unit="1",
    description="Share of what this machine can transcribe live that open streams take.",
)

ENGINE_CHARACTERS = _meter.create_counter(
    "babelcast.translation.characters",
    unit="{character}",
    description="Characters that engines translated or spoke, as they charge for them; caches spare some.",
)
ENGINE_COST = _meter.create_counter(
    "babelcast.translation.cost",
    unit="USD",
    description="What those characters cost by the table of prices.",
)

VOICE_TEXTS = _meter.create_counter(
    "babelcast.translation.voice_texts",
    unit="{segment}",
    description="Translated segments by what became of their voice.",
)
VOICE_PACE = _meter.create_histogram(
    "babelcast.translation.voice_pace",
    unit="1",
    description="How much quicker than usual clips are spoken to keep up with the speaker.",
    explicit_bucket_boundaries_advisory=[1.0, 1.05, 1.1, 1.15, 1.2, 1.25],
)
VOICE_LAG = _meter.create_histogram(
    "babelcast.gateway.voice_lag",
    unit="s",
    description="From the end of speech to where its voice begins for somebody who hears all of it in turn.",
    explicit_bucket_boundaries_advisory=[0.5, 1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 30],
)

CACHE_LOOKUPS = _meter.create_counter(
    "babelcast.translation.cache_lookups",
    unit="{lookup}",
    description="Sentences looked for in the cache of translations; all but misses are hits.",
)
CACHE_EVICTIONS = _meter.create_counter(
    "babelcast.translation.cache_evictions",
    unit="{entry}",
    description="Translations that went for want of room or by age; `cause` is capacity, size or expired.",
)
CACHE_ENTRIES = _meter.create_gauge(
    "babelcast.translation.cache_entries", unit="{entry}", description="Translations in memory."
)
CACHE_BYTES = _meter.create_gauge(
    "babelcast.translation.cache_size", unit="By", description="Memory that cached translations take."
)
CACHE_DROPPED = _meter.create_counter(
    "babelcast.translation.cache_dropped",
    unit="{entry}",
    description="Translations that were not written to the cache's table.",
)
CACHE_TABLE_FAILURES = _meter.create_counter(
    "babelcast.translation.cache_table_failures",
    unit="{call}",
    description="Calls to the cache's table that failed or took too long.",
)

LISTENED = _meter.create_counter(
    "babelcast.gateway.listened",
    unit="s",
    description="Time that listeners were in sessions of this gateway, all of them added up.",
)

BUS_UNSENT = _meter.create_counter(
    "babelcast.bus.unsent",
    unit="{message}",
    description="Messages that could not be published for longer than they would have been kept.",
)
ARCHIVE_UNSENT = _meter.create_counter(
    "babelcast.archive.unsent",
    unit="{message}",
    description="Texts that are in no transcript since the archive could not be reached, or refused them.",
)
LIVE_PLAYERS = _meter.create_up_down_counter(
    "babelcast.gateway.live_players",
    unit="{player}",
    description="Players that are sent a continuous stream now.",
)
LIVE_PLAYERS_CUT = _meter.create_counter(
    "babelcast.gateway.live_players_cut",
    unit="{player}",
    description="Players cut off because they did not take a continuous stream as fast as it is made.",
)
LIVE_CLIPS_LEFT_OUT = _meter.create_counter(
    "babelcast.gateway.live_clips_left_out",
    unit="{utterance}",
    description="Voices that are not in a continuous stream: too many waited, or they were not in Opus.",
)
BUS_REOPENED = _meter.create_counter(
    "babelcast.bus.reopened",
    unit="{consumer}",
    description="Times that a topic was followed anew, after an outage or a gap.",
)
