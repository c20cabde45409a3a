"""Who creates and joins sessions, and what becomes of it."""

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

_CALLED = '{method=~"SessionService/.*", method!="SessionService/WatchSessions"}'
_PROMPT = '{action!="endSession"}'
"""Ending a session waits for its last sentences."""

SESSIONS: Final = Board(
    uid="babelcast-sessions",
    title="Babelcast: session management",
    about="Sessions, those who join them, and the store that knows of them.",
    rows=[
        Row(
            "Now",
            [
                Number("Sessions", Query("sum(babelcast_gateway_sessions)")),
                Number("Listeners", Query('sum(babelcast_gateway_connections{role="listener"})')),
                Number("Speakers", Query('sum(babelcast_gateway_connections{role="speaker"})')),
                Number(
                    "Sessions created today",
                    Query("sum(increase(babelcast_gateway_sessions_created_total[24h]))"),
                ),
                Number("Joined today", Query("sum(increase(babelcast_gateway_listeners_joined_total[24h]))")),
                Number(
                    "Joins that failed",
                    Query("babelcast:join_errors:ratio_rate1h"),
                    "percentunit",
                    "By a fault of ours, of the last hour; 0.5 % may.",
                    warn=0.005,
                    bad=0.05,
                ),
            ],
        ),
        Row(
            "Coming and going",
            [
                Graph(
                    "Connections",
                    [Query("sum by (role) (babelcast_gateway_connections)", "{{role}}")],
                    stacked=True,
                ),
                Graph(
                    "Sessions created",
                    [Query("sum(increase(babelcast_gateway_sessions_created_total[5m]))", "in 5 minutes")],
                ),
                Graph(
                    "Listeners joined",
                    [rate("babelcast_gateway_listeners_joined_total", "language")],
                    "cps",
                    stacked=True,
                ),
                Graph("Joins by outcome", [events("babelcast_gateway_joins_total", "outcome")], "cps"),
                Graph(
                    "Connections closed",
                    [events("babelcast_gateway_connections_closed_total", "code")],
                    "cps",
                    "By WebSocket close code: 1000 and 1001 are in order, 1011 is a fault of ours.",
                ),
                Graph(
                    "Connections timed out",
                    [Query("babelcast:connection_timeouts:increase5m", "{{cause}}")],
                    note="In 5 minutes; more than 10 raise ConnectionTimeouts.",
                    limit=10,
                ),
            ],
        ),
        Row(
            "Latency",
            [
                Graph(
                    "Control messages",
                    percentiles("babelcast_gateway_control_seconds", where=_PROMPT),
                    "s",
                    "From a client's message to its answer, without the ends of sessions.",
                ),
                Graph(
                    "Control messages by action, p95",
                    [percentile(0.95, "babelcast_gateway_control_seconds", "action", legend="{{action}}")],
                    "s",
                ),
                Graph(
                    "Calls to the session service, p95",
                    [
                        percentile(
                            0.95, "babelcast_rpc_server_duration_seconds", "method", _CALLED, "{{method}}"
                        )
                    ],
                    "s",
                ),
            ],
        ),
        Row(
            "Faults",
            [
                Graph(
                    "Errors told to clients",
                    [events("babelcast_gateway_errors_total", "code")],
                    "cps",
                    "By the code of the client protocol.",
                ),
                Graph(
                    "Answers over HTTP", [events("babelcast_gateway_http_responses_total", "class")], "cps"
                ),
                Graph(
                    "Slow clients",
                    [
                        rate("babelcast_gateway_slow_clients_cut_total", legend="cut off"),
                        rate("babelcast_gateway_utterances_dropped_total", legend="voices dropped"),
                    ],
                    "cps",
                ),
            ],
        ),
        Row(
            "Store",
            [
                Graph(
                    "Requests, p95",
                    [
                        percentile(
                            0.95, "babelcast_store_duration_seconds", "operation", legend="{{operation}}"
                        )
                    ],
                    "s",
                ),
                Graph(
                    "Throttled and failed",
                    [
                        Query("babelcast:store_throttled:increase5m", "throttled"),
                        Query("babelcast:store_failures:increase5m", "failed"),
                        rate(
                            "babelcast_session_rate_limits_skipped_total",
                            legend="rate limits skipped, each second",
                        ),
                    ],
                    note="In 5 minutes; more than 10 raise DynamoDBThrottling or StoreFailures.",
                    limit=10,
                ),
                Graph(
                    "Capacity consumed",
                    [rate("babelcast_store_consumed_capacity_total", "table")],
                    "cps",
                    "DynamoDB's units each second, by table.",
                    stacked=True,
                ),
            ],
        ),
    ],
)
