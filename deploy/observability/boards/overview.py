"""The whole system: what the first 24 hours after a deployment are watched by."""

from typing import Final

from deploy.observability.panels import Board, Graph, Number, Query, Row, percentile, percentiles, rate

_UNARY = '{method!~".*/(StreamingTranscribe|StreamingTranslate|WatchSessions)"}'
_PROMPT = '{action!="endSession"}'
"""Ending a session waits for its last sentences."""
_LAG_BUDGET, _JOIN_BUDGET = 0.05, 0.005

OVERVIEW: Final = Board(
    uid="babelcast-overview",
    title="Babelcast: system overview",
    about="Latency, errors, throughput and resources of all services.",
    rows=[
        Row(
            "Now",
            [
                Number(
                    "Alerts",
                    Query('count(ALERTS{alertstate="firing", alertname!="Watchdog"}) or vector(0)'),
                    bad=1,
                ),
                Number("Processes down", Query('count(up{job=~"babelcast.*"} == 0) or vector(0)'), bad=1),
                Number("Sessions", Query("sum(babelcast_gateway_sessions)")),
                Number("Connections", Query("sum(babelcast_gateway_connections)")),
                Number(
                    "Lag, p95",
                    Query("max(babelcast:end_to_end_seconds:p95_5m)"),
                    "s",
                    "From the end of speech to its listeners.",
                    warn=4,
                    bad=5,
                ),
                Number(
                    "Errors",
                    Query("max(babelcast:rpc_faults:ratio5m)"),
                    "percentunit",
                    "Of the calls to the service that has most of them; the target is below 1 %.",
                    warn=0.01,
                    bad=0.05,
                ),
            ],
        ),
        Row(
            "Objectives",
            [
                Graph(
                    "Late: share of what listeners are sent",
                    [
                        Query("babelcast:lag_errors:ratio_rate5m", "5 minutes"),
                        Query("babelcast:lag_errors:ratio_rate1h", "an hour"),
                        Query("babelcast:lag_errors:ratio_rate1d", "a day"),
                    ],
                    "percentunit",
                    "What came more than 5 s after the end of its speech; 5 % may.",
                    limit=_LAG_BUDGET,
                ),
                Graph(
                    "Joins that failed",
                    [
                        Query("babelcast:join_errors:ratio_rate5m", "5 minutes"),
                        Query("babelcast:join_errors:ratio_rate1h", "an hour"),
                        Query("babelcast:join_errors:ratio_rate1d", "a day"),
                    ],
                    "percentunit",
                    "By a fault of ours; 0.5 % may.",
                    limit=_JOIN_BUDGET,
                ),
                Graph(
                    "Allowance used, by the pace of three days",
                    [
                        Query(f"babelcast:lag_errors:ratio_rate3d / {_LAG_BUDGET}", "lag"),
                        Query(f"babelcast:join_errors:ratio_rate3d / {_JOIN_BUDGET}", "join"),
                    ],
                    "percentunit",
                    "100 %: what is allowed in a month would be used up at its end.",
                    limit=1,
                ),
            ],
        ),
        Row(
            "Latency",
            [
                Graph(
                    "End to end", percentiles("babelcast_gateway_end_to_end_seconds", "kind"), "s", limit=5
                ),
                Graph("Audio processing", percentiles("babelcast_gateway_audio_processing_seconds"), "s"),
                Graph(
                    "Transcript forwarding",
                    percentiles("babelcast_gateway_transcript_forwarding_seconds"),
                    "s",
                ),
                Graph(
                    "Control messages", percentiles("babelcast_gateway_control_seconds", where=_PROMPT), "s"
                ),
                Graph(
                    "End to end by language, p95",
                    [
                        percentile(
                            0.95,
                            "babelcast_gateway_end_to_end_seconds",
                            "kind, language",
                            legend="{{kind}} {{language}}",
                        )
                    ],
                    "s",
                    limit=5,
                ),
                Graph(
                    "Calls between services, p95",
                    [
                        percentile(
                            0.95, "babelcast_rpc_client_duration_seconds", "method", _UNARY, "{{method}}"
                        )
                    ],
                    "s",
                    "As the caller sees them, without streams, which last as long as a talk.",
                ),
            ],
        ),
        Row(
            "Errors",
            [
                Graph(
                    "Services",
                    [Query("babelcast:rpc_faults:ratio5m", "{{job}}")],
                    "percentunit",
                    "Calls that ended by a fault of the called one.",
                    limit=0.01,
                ),
                Graph(
                    "Streams that failed",
                    [Query("babelcast:stream_failures:increase5m", "{{station}} {{phase}}")],
                    note="In 5 minutes.",
                ),
                Graph(
                    "Translation",
                    [Query("babelcast:translation_failures:increase5m", "{{component}}")],
                    note="In 5 minutes.",
                ),
                Graph(
                    "Edge",
                    [
                        Query(
                            "babelcast:edge_faults:increase5m / babelcast:edge_answers:increase5m",
                            "faults of ours",
                        )
                    ],
                    "percentunit",
                    "Of requests and connections in 5 minutes; 5 % raise WebSocketAPIErrors.",
                    limit=0.05,
                ),
                Graph(
                    "Audio",
                    [
                        rate("babelcast_gateway_audio_refused_total", legend="chunks refused"),
                        rate("babelcast_transcription_dynamics_failures_total", legend="dynamics failed"),
                    ],
                    "cps",
                ),
                Graph(
                    "Bus and archive",
                    [
                        Query("babelcast:bus_unsent:increase5m", "messages given up"),
                        Query("babelcast:archive_unsent:increase5m", "texts not archived"),
                        Query("sum(increase(babelcast_bus_reopened_total[5m]))", "topics followed anew"),
                    ],
                    note="In 5 minutes.",
                ),
            ],
        ),
        Row(
            "Throughput",
            [
                Graph(
                    "Sessions and listeners",
                    [
                        rate("babelcast_gateway_sessions_created_total", legend="sessions created"),
                        rate("babelcast_gateway_listeners_joined_total", legend="listeners joined"),
                    ],
                    "cps",
                ),
                Graph(
                    "Sentences",
                    [
                        rate(
                            "babelcast_gateway_transcripts_forwarded_total",
                            where='{kind="final"}',
                            legend="transcripts",
                        ),
                        rate(
                            "babelcast_translation_generated_total",
                            where='{kind="caption"}',
                            legend="translations",
                        ),
                    ],
                    "cps",
                ),
                Graph(
                    "Audio",
                    [rate("babelcast_gateway_audio_chunks_total", legend="chunks")],
                    "cps",
                ),
            ],
        ),
        Row(
            "Resources",
            [
                Graph(
                    "Memory",
                    [Query("babelcast:memory:ratio", "{{job}} {{instance}}")],
                    "percentunit",
                    "Of what a process may have, its engines included.",
                    limit=0.9,
                ),
                Graph(
                    "CPU",
                    [rate("babelcast_process_cpu_seconds_total", "job")],
                    note="Cores in use.",
                    stacked=True,
                ),
                Graph(
                    "Event loops, p99",
                    [percentile(0.99, "babelcast_process_loop_lag_seconds", "job", legend="{{job}}")],
                    "s",
                    "How late a process gets round to what is due.",
                    limit=0.25,
                ),
                Graph(
                    "Calls between services",
                    [rate("babelcast_rpc_server_duration_seconds_count", "method")],
                    "reqps",
                ),
                Graph(
                    "In use",
                    [
                        Query("sum(babelcast_gateway_connections)", "connections"),
                        Query("sum(babelcast_transcription_streams_open)", "transcription streams"),
                    ],
                ),
                Graph(
                    "DynamoDB",
                    [rate("babelcast_store_consumed_capacity_total", "table")],
                    "cps",
                    "Units each second, by table.",
                ),
            ],
        ),
    ],
)
