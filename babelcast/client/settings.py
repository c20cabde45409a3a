"""What a client waits for and how much it keeps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Durations are seconds."""

    connect_timeout_s: float = 10.0
    """For the TCP connection, TLS and the upgrade together."""
    request_timeout_s: float = 10.0
    """From a request to its answer."""
    end_timeout_s: float = 30.0
    """From the request to end a session to its answer: the last sentences go through first."""
    heartbeat_interval_s: float = 30.0
    """Between heartbeats; the server drops a connection after three missed ones."""
    close_timeout_s: float = 2.0
    """For the closing handshake."""
    resume_window_s: float = 120.0
    """How long a lost connection is tried again; the server keeps what was missed as long."""
    backoff_base_s: float = 0.25
    """The first reconnection waits up to this long, each further one up to twice as long as the last."""
    backoff_cap_s: float = 8.0
    """The longest wait between reconnections."""
    event_capacity: int = 1_000
    """Events kept for an iterator that does not keep up; the oldest go first, and the loss is reported."""
    audio_capacity: int = 50
    """Chunks kept while the connection is slow or away (5 s of 100 ms chunks); the oldest go first."""
    max_message_bytes: int = 8 * 1024 * 1024
    """The largest message accepted from the server."""
