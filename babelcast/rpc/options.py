"""Channel and server options, the same on both sides."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024

# bdp_probe off: HTTP/2 flow control is no back-pressure for live audio, and its probes cost round trips.
# so_reuseport off: two servers on one port would share calls at random instead of the second failing.
COMMON: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.http2.bdp_probe", 0),
)
# max_connection_age: a caller asks DNS again only when a connection ends, so without it replicas that are
# added would be called by nobody who was there before. Calls and streams under way stay where they are; gRPC
# spreads the moment by a tenth to either side.
SERVER: tuple[tuple[str, int], ...] = (
    *COMMON,
    ("grpc.so_reuseport", 0),
    ("grpc.max_connection_age_ms", 120_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # As callers do: without it their pings on an idle connection are a misdeed, for which it is ended.
    ("grpc.keepalive_permit_without_calls", 1),
)
CLIENT: tuple[tuple[str, int], ...] = (
    *COMMON,
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
