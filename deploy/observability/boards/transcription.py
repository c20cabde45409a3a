"""The way of audio until it is text."""

from typing import Final

from deploy.observability.panels import Board, Graph, Number, Query, Row, events, percentiles, rate

TRANSCRIPTION: Final = Board(
    uid="babelcast-transcription",
    title="Babelcast: audio transcription",
    about="Speakers' audio, the streams that carry it, and the text that comes back.",
    rows=[
        Row(
            "Now",
            [
                Number("Streams open", Query("sum(babelcast_transcription_streams_open)")),
                Number("Streams that fit", Query("sum(babelcast_transcription_streams_limit)")),
                Number(
                    "In use",
                    Query(
                        "sum(babelcast_transcription_streams_open)"
                        " / sum(babelcast_transcription_streams_limit)"
                    ),
                    "percentunit",
                    warn=0.8,
                    bad=0.9,
                ),
                Number(
                    "Audio lost",
                    Query("sum(babelcast:audio_lost_seconds:increase5m) or vector(0)"),
                    "s",
                    "In 5 minutes.",
                    warn=1,
                    bad=10,
                ),
                Number(
                    "Streams broken",
                    Query("babelcast:transcription_streams_broken:ratio5m"),
                    "percentunit",
                    "Of those open in 5 minutes; 5 % may.",
                    warn=0.01,
                    bad=0.05,
                ),
                Number(
                    "Text after speech, p95",
                    Query(
                        "histogram_quantile(0.95, sum by (le) "
                        "(rate(babelcast_transcription_final_delay_seconds_bucket[5m])))"
                    ),
                    "s",
                    warn=2,
                    bad=4,
                ),
            ],
        ),
        Row(
            "Audio",
            [
                Graph(
                    "Chunks",
                    [
                        rate("babelcast_gateway_audio_chunks_total", legend="taken"),
                        rate("babelcast_gateway_audio_chunks_missing_total", legend="missing"),
                        events("babelcast_gateway_audio_refused_total", "code", legend="refused: {{code}}"),
                    ],
                    "cps",
                ),
                Graph(
                    "Refused",
                    [events("babelcast_gateway_audio_refused_total", "code")],
                    "cps",
                    "Audio that is not valid, too large, or too much.",
                ),
                Graph(
                    "Lost",
                    [Query("babelcast:audio_lost_seconds:increase5m", "{{cause}}")],
                    "s",
                    "Seconds of the last 5 minutes that will never be transcribed; more than 10 raise "
                    "AudioLost.",
                    limit=10,
                ),
            ],
        ),
        Row(
            "Latency",
            [
                Graph(
                    "Audio processing",
                    percentiles("babelcast_gateway_audio_processing_seconds"),
                    "s",
                    "From a chunk's arrival until it is handed to transcription.",
                ),
                Graph(
                    "Text after speech",
                    percentiles("babelcast_transcription_final_delay_seconds"),
                    "s",
                    "From the end of speech to its final text.",
                ),
                Graph(
                    "Transcript forwarding",
                    percentiles("babelcast_gateway_transcript_forwarding_seconds"),
                    "s",
                    "From a final text's arrival until it is sent to translation.",
                ),
            ],
        ),
        Row(
            "Text",
            [
                Graph("Transcripts", [rate("babelcast_gateway_transcripts_forwarded_total", "kind")], "cps"),
                Graph(
                    "Corrections",
                    [rate("babelcast_transcription_corrections_total", legend="corrected")],
                    "cps",
                    "Final texts that changed much of what had been shown.",
                ),
                Graph(
                    "Dynamics that failed",
                    [rate("babelcast_transcription_dynamics_failures_total", legend="failed")],
                    "cps",
                    "How loudly and quickly somebody speaks could not be told; voices are neutral then.",
                ),
            ],
        ),
        Row(
            "Streams and engines",
            [
                Graph(
                    "Streams",
                    [
                        Query("sum(babelcast_transcription_streams_open)", "open"),
                        Query("sum(babelcast_transcription_streams_limit)", "limit"),
                    ],
                ),
                Graph(
                    "Streams that failed",
                    [
                        Query(
                            'babelcast:stream_failures:increase5m{station="transcription"}',
                            "{{station}}, {{phase}}",
                        )
                    ],
                    note="In 5 minutes: at their start, and while they ran. More than 10 at the start raise "
                    "TranscribeStreamFailures.",
                    limit=10,
                ),
                Graph(
                    "Decodes for want of time later",
                    [rate("babelcast_transcription_slowed_total", legend="slowed")],
                    "cps",
                ),
                Graph(
                    "CPU",
                    [
                        rate(
                            "babelcast_process_cpu_seconds_total",
                            "instance",
                            '{job="babelcast-transcription"}',
                        )
                    ],
                    note="Cores in use, engines included.",
                ),
                Graph(
                    "Memory",
                    [Query('babelcast:memory:ratio{job="babelcast-transcription"}', "{{instance}}")],
                    "percentunit",
                    "Of what a process may have.",
                    limit=0.9,
                ),
                Graph(
                    "Calls that failed",
                    [
                        rate(
                            "babelcast_rpc_server_duration_seconds_count",
                            "code",
                            '{method=~"TranscriptionService/.*", code!="OK"}',
                        )
                    ],
                    "cps",
                    "UNAVAILABLE is how a replica that is about to stop hands over its streams.",
                ),
            ],
        ),
    ],
)
