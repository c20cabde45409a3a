"""From text to what listeners read and hear."""

from typing import Final

from deploy.observability.panels import (
    Board,
    Graph,
    Number,
    Query,
    Row,
    events,
    percentile,
    percentiles,
    rate,
)

TRANSLATION: Final = Board(
    uid="babelcast-translation",
    title="Babelcast: translation pipeline",
    about="Translations, their voices, the cache, and what engines charge.",
    rows=[
        Row(
            "Now",
            [
                Number(
                    "Translations a minute",
                    Query('60 * sum(rate(babelcast_translation_generated_total{kind="caption"}[5m]))'),
                ),
                Number(
                    "Failures",
                    Query("sum(babelcast:translation_failures:increase5m) or vector(0)"),
                    note="In 5 minutes.",
                    warn=1,
                    bad=10,
                ),
                Number(
                    "Cache hits",
                    Query("babelcast:cache_hits:ratio30m"),
                    "percentunit",
                    "Of half an hour; less than 30 % raise LowCacheHitRate.",
                    warn=0.4,
                    bad=0.3,
                ),
                Number(
                    "Translation, p95",
                    Query(
                        "histogram_quantile(0.95, sum by (le) "
                        "(rate(babelcast_translation_duration_seconds_bucket[5m])))"
                    ),
                    "s",
                    warn=1,
                    bad=2,
                ),
                Number(
                    "Cost today",
                    Query("sum(increase(babelcast_translation_cost_USD_total[24h]))"),
                    "currencyUSD",
                ),
                Number(
                    "Voices left out",
                    Query(
                        'sum(rate(babelcast_translation_voice_texts_total{outcome="skipped"}[30m]))'
                        " / sum(rate(babelcast_translation_voice_texts_total[30m]))"
                    ),
                    "percentunit",
                    "Of half an hour, for want of time to say them.",
                    warn=0.02,
                    bad=0.1,
                ),
            ],
        ),
        Row(
            "Translations",
            [
                Graph(
                    "Generated",
                    [rate("babelcast_translation_generated_total", "language, kind")],
                    "cps",
                    stacked=True,
                ),
                Graph("Duration", percentiles("babelcast_translation_duration_seconds"), "s"),
                Graph(
                    "Duration by engine, p95",
                    [
                        percentile(
                            0.95,
                            "babelcast_translation_duration_seconds",
                            "engine, language",
                            legend="{{engine}} {{language}}",
                        )
                    ],
                    "s",
                ),
                Graph(
                    "Failures",
                    [events("babelcast_translation_failures_total", "component, engine, code")],
                    "cps",
                ),
                Graph(
                    "Streams that failed",
                    [
                        Query(
                            'babelcast:stream_failures:increase5m{station="translation"}',
                            "{{station}}, {{phase}}",
                        )
                    ],
                    note="In 5 minutes. With failed translations, more than 10 raise "
                    "TranslationPipelineFailures.",
                    limit=10,
                ),
                Graph(
                    "Characters",
                    [rate("babelcast_translation_characters_total", "component, engine")],
                    "cps",
                ),
            ],
        ),
        Row(
            "Voices",
            [
                Graph(
                    "Speaking",
                    percentiles("babelcast_translation_speech_duration_seconds"),
                    "s",
                    "How long an engine takes for a voice.",
                ),
                Graph(
                    "Voice behind speech",
                    percentiles("babelcast_gateway_voice_lag_seconds"),
                    "s",
                    "From the end of speech to where its voice begins, for who hears all of it.",
                ),
                Graph(
                    "What became of voices",
                    [rate("babelcast_translation_voice_texts_total", "outcome")],
                    "cps",
                    stacked=True,
                ),
                Graph("Pace", [percentile(0.95, "babelcast_translation_voice_pace", "language")], "none"),
                Graph(
                    "Live players",
                    [
                        Query("sum(babelcast_gateway_live_players)", "players"),
                        rate("babelcast_gateway_live_players_cut_total", legend="cut off, each second"),
                        rate(
                            "babelcast_gateway_live_clips_left_out_total",
                            legend="clips left out, each second",
                        ),
                    ],
                ),
                Graph(
                    "Cost an hour",
                    [
                        Query(
                            "3600 * sum by (component, engine) "
                            "(rate(babelcast_translation_cost_USD_total[$__rate_interval]))",
                            "{{component}} {{engine}}",
                        )
                    ],
                    "currencyUSD",
                ),
            ],
        ),
        Row(
            "Cache",
            [
                Graph(
                    "Lookups",
                    [rate("babelcast_translation_cache_lookups_total", "outcome")],
                    "cps",
                    "All but misses are hits.",
                    stacked=True,
                ),
                Graph(
                    "Room",
                    [Query("sum by (instance) (babelcast_translation_cache_size_bytes)", "{{instance}}")],
                    "bytes",
                ),
                Graph(
                    "What went, and what failed",
                    [
                        rate("babelcast_translation_cache_evictions_total", "cause"),
                        rate("babelcast_translation_cache_dropped_total", legend="not written"),
                        rate("babelcast_translation_cache_table_failures_total", legend="table failed"),
                    ],
                    "cps",
                ),
            ],
        ),
    ],
)
